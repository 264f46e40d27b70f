// Interval arithmetic with Boost: SECONDS opposite|outward|restored. Roots of polynomials by interval Newton steps.
#include "bound.h"

#include <boost/numeric/interval.hpp>
#include <cstring>

using namespace boost::numeric;
using namespace interval_lib;
using checking = checking_base<double>;

// Boost's own choice for double: rounds up, and down by rounding the opposite up; then back to nearest.
using opposite = interval<double>;
// Down and up in turn, and never back: what the library's manual advises for long computations.
using outward = interval<double, policies<save_state_nothing<rounded_arith_std<double>>, checking>>;
// Down, up, and back to nearest after each operation.
using restored = interval<double, policies<save_state<rounded_arith_std<double>>, checking>>;

template <typename Interval> static double newton(double end) {
	double sum = 0;
	for (unsigned round = 2; round % 1024 != 0 || now() < end; round++) {
		double square = round;
		Interval number(square), root(1.0, square);
		for (int step = 0; step < 20; step++) {
			double middle = median(root);
			Interval point(middle);
			root = intersect(root, point - (point * point - number) / (Interval(2.0) * root));
		}
		sum += width(root);
	}
	return sum;
}

int main(int count, char **arguments) {
	double end = end_of(count, arguments), sum = 0;
	const char *how = count > 2 ? arguments[2] : "opposite";
	if (strcmp(how, "opposite") == 0)
		sum = newton<opposite>(end);
	else if (strcmp(how, "outward") == 0)
		sum = newton<outward>(end);
	else if (strcmp(how, "restored") == 0)
		sum = newton<restored>(end);
	else
		return 2;
	printf("%g\n", sum);
}
