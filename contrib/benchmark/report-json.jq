# The figures as they are kept.
.
