"""The process that ends a hold by maxconn when its holder cannot."""
