# Declares it, and acts when it is told to.
stillgate_traffic 'balanced'
