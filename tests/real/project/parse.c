#include "parse.h"

#include <math.h>
#include <stdlib.h>

static const char *at;
static const char *wrong;

static char peek(void)
{
    while (*at == ' ')
        at++;
    return *at;
}

static double sum(void);

static double atom(void)
{
    char *end;
    double value;

    if (peek() == '(') {
        at++;
        value = sum();
        if (peek() == ')')
            at++;
        else if (!wrong)
            wrong = at;
        return value;
    }
    if (peek() == '-') {
        at++;
        return -atom();
    }
    value = strtod(at, &end);
    if (end == at && !wrong)
        wrong = at;
    at = end;
    return value;
}

/* To the right: 2 ^ 3 ^ 2 is 2 ^ 9. */
static double power(void)
{
    double base = atom();

    if (peek() != '^')
        return base;
    at++;
    return pow(base, power());
}

static double product(void)
{
    double value = power();

    for (;;) {
        if (peek() == '*') {
            at++;
            value *= power();
        } else if (peek() == '/') {
            at++;
            value /= power();
        } else {
            return value;
        }
    }
}

static double sum(void)
{
    double value = product();

    for (;;) {
        if (peek() == '+') {
            at++;
            value += product();
        } else if (peek() == '-') {
            at++;
            value -= product();
        } else {
            return value;
        }
    }
}

double parse(const char *text, const char **error)
{
    double value;

    at = text;
    wrong = NULL;
    value = sum();
    if (!wrong && peek())
        wrong = at;
    *error = wrong;
    return value;
}
