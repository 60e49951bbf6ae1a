/*
 * Helpers for the tests of the C interface. ci/c compiles and runs them, also with sanitizers, which notice double frees
 * and leaks.
 */
#ifndef BLOCKPIPE_TESTS_TEST_H
#define BLOCKPIPE_TESTS_TEST_H

#include <blockpipe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_SIZE 4096
#define WITHIN 10000

/* The name of the test that is running: see main.c. */
extern const char *running_test;

static inline void fail(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: %s: %s\n    last message: %s\n", file, line, running_test, what,
            blockpipe_last_message());
    _exit(1);
}

static inline void is(const char *file, int line, blockpipe_result expected, blockpipe_result result, const char *what) {
    if (result != expected) {
        fprintf(stderr, "result %d\n", (int)result);
        fail(file, line, what);
    }
}

#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))
#define IS(expected, call) is(__FILE__, __LINE__, expected, call, #call " is not " #expected)
#define OK(call) IS(BLOCKPIPE_OK, call)
#define IS_NULL(call) IS(BLOCKPIPE_NULL_ARGUMENT, call)

/* Fails unless the last message contains this text. */
#define SAYS(text) (strstr(blockpipe_last_message(), text) ? (void)0 : fail(__FILE__, __LINE__, "the message does not say " #text))

static inline long milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Returns options for a pipe of its own, with two blocks. */
static inline blockpipe_options *new_options(void) {
    static int number;
    char name[64];
    blockpipe_options *options;
    snprintf(name, sizeof name, "blockpipe tests %ld %d", (long)getpid(), number++);
    OK(blockpipe_options_new(name, &options));
    OK(blockpipe_options_set_blocks(options, BLOCK_SIZE, 2));
    return options;
}

/* Both ends of a pipe, in this process. */
struct pair {
    blockpipe_options *options;
    blockpipe_producer *producer;
    blockpipe_consumer *consumer;
};

static inline struct pair join_both(blockpipe_options *options) {
    struct pair pair = {options, NULL, NULL};
    OK(blockpipe_join_as_producer(options, &pair.producer));
    OK(blockpipe_ready(pair.producer, BLOCK_SIZE, 2, "source", 6));
    OK(blockpipe_join_as_consumer(options, &pair.consumer));
    return pair;
}

static inline struct pair new_pair(void) { return join_both(new_options()); }

static inline void free_pair(struct pair *pair) {
    blockpipe_producer_free(&pair->producer);
    blockpipe_consumer_free(&pair->consumer);
    blockpipe_options_free(&pair->options);
}

static inline blockpipe_empty_block *empty(blockpipe_producer *producer) {
    blockpipe_empty_block *block;
    OK(blockpipe_next_empty(producer, WITHIN, &block));
    return block;
}

static inline blockpipe_filled_block *filled(blockpipe_consumer *consumer) {
    blockpipe_filled_block *block;
    OK(blockpipe_next_filled(consumer, WITHIN, &block));
    return block;
}

static inline void send_text(blockpipe_producer *producer, const char *text) {
    blockpipe_empty_block *block = empty(producer);
    memcpy(blockpipe_empty_block_data(block), text, strlen(text));
    OK(blockpipe_send(producer, &block, strlen(text)));
}

static inline void expect_text(blockpipe_consumer *consumer, const char *text) {
    blockpipe_filled_block *block = filled(consumer);
    CHECK(blockpipe_filled_block_length(block) == strlen(text));
    CHECK(memcmp(blockpipe_filled_block_data(block), text, strlen(text)) == 0);
    OK(blockpipe_release(consumer, &block));
}

static inline void expect_end(blockpipe_consumer *consumer) {
    blockpipe_filled_block *block = (void *)1;
    IS(BLOCKPIPE_END, blockpipe_next_filled(consumer, WITHIN, &block));
    CHECK(block == NULL);
}

/* The producer's last call waits for the consumer, so it runs in a thread. */
struct finish {
    pthread_t thread;
    blockpipe_producer *producer;
    const char *trailer;
    blockpipe_result result;
};

static inline void *run_finish(void *argument) {
    struct finish *finish = argument;
    finish->result = finish->trailer
                         ? blockpipe_close(finish->producer, finish->trailer, strlen(finish->trailer))
                         : blockpipe_producer_finish(finish->producer);
    return NULL;
}

static inline void start_finish(struct finish *finish, blockpipe_producer *producer, const char *trailer) {
    *finish = (struct finish){.producer = producer, .trailer = trailer};
    CHECK(pthread_create(&finish->thread, NULL, run_finish, finish) == 0);
}

static inline blockpipe_result end_finish(struct finish *finish) {
    CHECK(pthread_join(finish->thread, NULL) == 0);
    return finish->result;
}

/* Finishes both ends, and frees them. */
static inline void finish_pair(struct pair *pair) {
    struct finish finish;
    start_finish(&finish, pair->producer, NULL);
    OK(blockpipe_consumer_finish(pair->consumer));
    OK(end_finish(&finish));
    free_pair(pair);
}

/* Runs the body in a forked child, whose failure fails the test. To its peers the child ends as if killed. */
#define IN_CHILD(body)                                             \
    do {                                                           \
        const pid_t child = fork();                                \
        CHECK(child >= 0);                                         \
        if (child == 0) {                                          \
            alarm(30);                                             \
            body;                                                  \
            _exit(0);                                              \
        }                                                          \
        int status;                                                \
        CHECK(waitpid(child, &status, 0) == child && status == 0); \
    } while (0)

/* Joining may wait, so it runs in a thread. */
struct joined {
    struct pair pair;
    blockpipe_result result;
};

static inline void *run_join(void *argument) {
    struct joined *joined = argument;
    joined->result = blockpipe_join(joined->pair.options, &joined->pair.producer, &joined->pair.consumer);
    return NULL;
}

#endif
