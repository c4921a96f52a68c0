/* An expression's value; *error is where it cannot be read on, or NULL. */
double parse(const char *text, const char **error);
