/* Debian's package of 2.3 puts this header elsewhere. */
#include <abd_impl_os.h>
