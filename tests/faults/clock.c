/* Loaded into the operator by LD_PRELOAD: moves the wall clock by CLOCK_AHEAD seconds, and no other clock. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	const char *ahead = getenv("CLOCK_AHEAD");
	if (result == 0 && clock == CLOCK_REALTIME && ahead)
		now->tv_sec += atol(ahead);
	return result;
}
