"""What calls give back: data that draws nothing and writes no JSON."""
