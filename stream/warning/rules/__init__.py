"""What early warning finds, purely: sums that fade, limits, and the findings that follow."""
