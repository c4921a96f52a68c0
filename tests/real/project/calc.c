#include <stdio.h>

#include "parse.h"

int main(int argc, char **argv)
{
    const char *error;
    double value;

    if (argc != 2) {
        fprintf(stderr, "usage: calc EXPRESSION\n");
        return 2;
    }
    value = parse(argv[1], &error);
    if (error) {
        fprintf(stderr, "calc: cannot read on at '%s'\n", error);
        return 1;
    }
    printf("%.15g\n", value);
    return 0;
}
