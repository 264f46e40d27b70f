/* MPFR rounds in software, in all its modes: SECONDS. */
#include "bound.h"

#include <mpfr.h>

int main(int count, char **arguments) {
	static const mpfr_rnd_t modes[] = {MPFR_RNDN, MPFR_RNDZ, MPFR_RNDU, MPFR_RNDD, MPFR_RNDA};
	double end = end_of(count, arguments);
	mpfr_t x, y;
	mpfr_init2(x, 200);
	mpfr_init2(y, 200);
	mpfr_set_d(y, 0, MPFR_RNDN);
	for (unsigned i = 1; i % 64 != 0 || now() < end; i++) {
		mpfr_set_ui(x, i, MPFR_RNDN);
		mpfr_sin(x, x, modes[i % 5]);
		mpfr_exp(x, x, modes[i % 5]);
		mpfr_add(y, y, x, modes[i % 5]);
	}
	printf("%g\n", mpfr_get_d(y, MPFR_RNDN));
}
