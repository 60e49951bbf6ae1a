/* Runs the tests of the C interface, one after another. */
#define _GNU_SOURCE
#include "test.h"

const char *running_test;

#define TESTS(run) \
    run(messages) \
    run(messages_of_threads) \
    run(null) \
    run(freeing_nothing) \
    run(nothing_is_freed_twice) \
    run(wrong_order) \
    run(transfer) \
    run(either_end) \
    run(waiting) \
    run(cancelling) \
    run(descriptors) \
    run(skipping) \
    run(blocks_that_are_only_freed) \
    run(blocks_of_another_end) \
    run(blocks_outlive_their_ends) \
    run(aborting) \
    run(committing) \
    run(death) \
    run(replacing) \
    run(forking) \
    run(inspecting) \
    run(joins_that_fail) \
    run(strange_pipes)

#define DECLARE(name) void test_##name(void);
TESTS(DECLARE)

int main(void) {
    alarm(60); /* A lost wake-up must fail the tests, and not hang them. */
    setvbuf(stdout, NULL, _IOLBF, 0);
#define RUN(name) \
    running_test = #name; \
    test_##name(); \
    printf("%s: ok\n", #name);
    TESTS(RUN)
    return 0;
}
