/* Holds fsync and fdatasync at a fixed time, so that programs can be compared as if they stood on the same disk.
 *
 *     cc -O2 -shared -fPIC -o fsync_shim.so fsync_shim.c -ldl
 *     LD_PRELOAD=./fsync_shim.so FSYNC_SHIM_US=4000 program
 *
 * Each call does its real work first and then waits until FSYNC_SHIM_US microseconds have passed since it began. One
 * that took longer by itself is not made any faster. Calls of several threads wait side by side, as they would on a
 * disk that serves them together.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

typedef int (*sync_call)(int);

static long held_ns(void)
{
    static long held = -1; /* read once; two threads that race here read the same */
    if (held < 0) {
        const char *text = getenv("FSYNC_SHIM_US");
        held = text == NULL ? 0 : atol(text) * 1000;
    }
    return held;
}

static int held_call(sync_call real, int descriptor)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int result = real(descriptor);
    int saved = errno;
    until.tv_nsec += held_ns();
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
    errno = saved;
    return result;
}

int fsync(int descriptor)
{
    static sync_call real;
    if (real == NULL)
        real = (sync_call)dlsym(RTLD_NEXT, "fsync");
    return held_call(real, descriptor);
}

int fdatasync(int descriptor)
{
    static sync_call real;
    if (real == NULL)
        real = (sync_call)dlsym(RTLD_NEXT, "fdatasync");
    return held_call(real, descriptor);
}
