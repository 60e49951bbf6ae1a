/* Sending and receiving blocks, and waiting for them. */
#define _GNU_SOURCE
#include "test.h"

#include <poll.h>

void test_transfer(void) {
    struct pair pair = {new_options(), NULL, NULL};
    blockpipe_filled_block *full;
    char hello[8] = "";
    size_t length = 0, block_size = 0, blocks = 0;
    uint32_t user = ~0u;
    uint8_t at[32] = {1}, point[32] = {0}, header[40], trailer[64];
    OK(blockpipe_options_set_tag(pair.options, "a\0b", 3));
    OK(blockpipe_options_set_connect_timeout(pair.options, -1));
    OK(blockpipe_join_as_producer(pair.options, &pair.producer));
    IS(BLOCKPIPE_NOTHING, blockpipe_producer_predecessor(pair.producer, hello, sizeof hello, &length));
    IS(BLOCKPIPE_NOTHING, blockpipe_producer_geometry(pair.producer, &block_size, &blocks));
    OK(blockpipe_ready(pair.producer, 5000, 2, "a source", 8));
    OK(blockpipe_producer_geometry(pair.producer, &block_size, &blocks));
    CHECK(block_size == 8192 && blocks == 2);
    OK(blockpipe_producer_geometry(pair.producer, NULL, NULL));
    IS(BLOCKPIPE_NOTHING, blockpipe_producer_peer_hello(pair.producer, hello, sizeof hello, &length));

    OK(blockpipe_join_as_consumer(pair.options, &pair.consumer));
    IS(BLOCKPIPE_NOTHING, blockpipe_consumer_predecessor(pair.consumer, hello, sizeof hello, &length));
    CHECK(!blockpipe_predecessor_was_committing(pair.consumer));
    block_size = blocks = 0;
    OK(blockpipe_consumer_geometry(pair.consumer, &block_size, &blocks));
    CHECK(block_size == 8192 && blocks == 2);
    /* A short buffer gets as much as fits, and the whole length is reported. */
    OK(blockpipe_consumer_peer_hello(pair.consumer, hello, 4, &length));
    CHECK(memcmp(hello, "a so\0\0\0\0", 8) == 0 && length == 8);
    OK(blockpipe_consumer_peer_hello(pair.consumer, NULL, 0, NULL));
    OK(blockpipe_consumer_peer_user(pair.consumer, &user));
    CHECK(user == getuid());
    OK(blockpipe_begin(pair.consumer, "target", 6, at, point));
    CHECK(memcmp(at, point, 32) == 0);
    OK(blockpipe_producer_peer_hello(pair.producer, hello, sizeof hello, &length));
    CHECK(memcmp(hello, "target", 6) == 0 && length == 6);
    user = ~0u;
    OK(blockpipe_producer_peer_user(pair.producer, &user));
    CHECK(user == getuid());
    memset(point, 9, sizeof point);
    OK(blockpipe_start(pair.producer, point));
    CHECK(memcmp(at, point, 32) == 0);

    /* Two blocks, sent in the other order, arrive in order. */
    blockpipe_empty_block *first = empty(pair.producer), *second = empty(pair.producer);
    CHECK(blockpipe_empty_block_number(first) == 0 && blockpipe_empty_block_number(second) == 1);
    CHECK(blockpipe_empty_block_capacity(first) == 8192);
    CHECK((uintptr_t)blockpipe_empty_block_data(first) % 4096 == 0);
    memcpy(blockpipe_empty_block_data(first), "first", 5);
    memcpy(blockpipe_empty_block_data(second), "second", 6);
    OK(blockpipe_empty_block_set_header(second, "header", 6));
    OK(blockpipe_send_with(pair.producer, &second, 6, at));
    CHECK(second == NULL);
    IS(BLOCKPIPE_NOTHING, blockpipe_next_filled(pair.consumer, 0, &full));
    OK(blockpipe_send(pair.producer, &first, 5));
    OK(blockpipe_producer_check(pair.producer));
    expect_text(pair.consumer, "first");
    full = filled(pair.consumer);
    CHECK(blockpipe_filled_block_number(full) == 1 && blockpipe_filled_block_length(full) == 6);
    CHECK(memcmp(blockpipe_filled_block_data(full), "second", 6) == 0);
    memset(header, 9, sizeof header);
    OK(blockpipe_filled_block_header(full, header, 8));
    CHECK(memcmp(header, "header\0\0\x09", 9) == 0);
    OK(blockpipe_filled_block_header(full, header, 40));
    CHECK(header[8] == 0 && header[39] == 0);
    OK(blockpipe_release_with(pair.consumer, &full, at));
    CHECK(full == NULL);
    OK(blockpipe_consumer_check(pair.consumer));
    IS(BLOCKPIPE_NOTHING, blockpipe_trailer(pair.consumer, trailer));

    struct finish finish;
    start_finish(&finish, pair.producer, "trailer");
    expect_end(pair.consumer);
    expect_end(pair.consumer);
    OK(blockpipe_trailer(pair.consumer, trailer));
    CHECK(memcmp(trailer, "trailer\0", 8) == 0 && trailer[63] == 0);
    OK(blockpipe_consumer_finish(pair.consumer));
    OK(end_finish(&finish));
    IS(BLOCKPIPE_OVER, blockpipe_consumer_finish(pair.consumer));
    IS(BLOCKPIPE_OVER, blockpipe_next_empty(pair.producer, -1, &first));
    free_pair(&pair);
}

void test_either_end(void) {
    struct pair pair = {new_options(), NULL, (void *)1};
    struct joined second = {.pair = {pair.options, (void *)1, NULL}};
    pthread_t thread;
    OK(blockpipe_join(pair.options, &pair.producer, &pair.consumer));
    CHECK(pair.producer != NULL && pair.consumer == NULL);
    CHECK(pthread_create(&thread, NULL, run_join, &second) == 0);
    /* The first block makes the end ready, with the blocks of the options. */
    send_text(pair.producer, "x");
    CHECK(pthread_join(thread, NULL) == 0 && second.result == BLOCKPIPE_OK);
    CHECK(second.pair.producer == NULL && second.pair.consumer != NULL);
    pair.consumer = second.pair.consumer;
    expect_text(pair.consumer, "x");
    finish_pair(&pair);
}

void test_waiting(void) {
    struct pair pair = new_pair();
    blockpipe_empty_block *block = (void *)1;
    blockpipe_filled_block *full = (void *)1;
    IS(BLOCKPIPE_NOTHING, blockpipe_next_filled(pair.consumer, 0, &full));
    CHECK(full == NULL);
    const long before = milliseconds();
    IS(BLOCKPIPE_NOTHING, blockpipe_next_filled(pair.consumer, 60, &full));
    CHECK(milliseconds() - before >= 59);
    send_text(pair.producer, "1");
    send_text(pair.producer, "2");
    IS(BLOCKPIPE_NOTHING, blockpipe_next_empty(pair.producer, 0, &block));
    CHECK(block == NULL);
    IS(BLOCKPIPE_NOTHING, blockpipe_next_empty(pair.producer, 20, &block));
    expect_text(pair.consumer, "1");
    OK(blockpipe_next_empty(pair.producer, -1, &block));
    blockpipe_empty_block_free(&block);
    expect_text(pair.consumer, "2");
    finish_pair(&pair);
}

static void *run_cancel(void *canceller) {
    const struct timespec time = {0, 50000000};
    nanosleep(&time, NULL);
    OK(blockpipe_cancel(canceller));
    return NULL;
}

void test_cancelling(void) {
    struct pair pair = new_pair();
    blockpipe_canceller *of_producer, *of_consumer;
    blockpipe_filled_block *full;
    blockpipe_empty_block *block;
    pthread_t thread;
    OK(blockpipe_producer_canceller(pair.producer, &of_producer));
    OK(blockpipe_consumer_canceller(pair.consumer, &of_consumer));
    CHECK(pthread_create(&thread, NULL, run_cancel, of_consumer) == 0);
    IS(BLOCKPIPE_CANCELED, blockpipe_next_filled(pair.consumer, -1, &full));
    CHECK(pthread_join(thread, NULL) == 0);
    send_text(pair.producer, "1");
    send_text(pair.producer, "2");
    OK(blockpipe_cancel(of_producer));
    IS(BLOCKPIPE_CANCELED, blockpipe_next_empty(pair.producer, -1, &block));
    SAYS("canceled");
    expect_text(pair.consumer, "1");
    expect_text(pair.consumer, "2");
    finish_pair(&pair);
    /* A canceller whose end was freed does nothing. */
    OK(blockpipe_cancel(of_producer));
    blockpipe_canceller_free(&of_producer);
    blockpipe_canceller_free(&of_consumer);
}

static bool is_readable(int descriptor, int timeout) {
    struct pollfd poll_for = {descriptor, POLLIN, 0};
    CHECK(poll(&poll_for, 1, timeout) >= 0);
    return poll_for.revents & POLLIN;
}

void test_descriptors(void) {
    struct pair pair = new_pair();
    blockpipe_filled_block *full;
    blockpipe_empty_block *block;
    int producer, consumer, again;
    OK(blockpipe_producer_descriptor(pair.producer, &producer));
    OK(blockpipe_consumer_descriptor(pair.consumer, &consumer));
    OK(blockpipe_consumer_descriptor(pair.consumer, &again));
    CHECK(again == consumer);
    IS(BLOCKPIPE_NOTHING, blockpipe_next_filled(pair.consumer, 0, &full));
    CHECK(!is_readable(consumer, 0));
    send_text(pair.producer, "1");
    CHECK(is_readable(consumer, WITHIN));
    send_text(pair.producer, "2");
    IS(BLOCKPIPE_NOTHING, blockpipe_next_empty(pair.producer, 0, &block));
    CHECK(!is_readable(producer, 0));
    expect_text(pair.consumer, "1");
    CHECK(is_readable(producer, WITHIN));
    expect_text(pair.consumer, "2");
    finish_pair(&pair);
}

void test_skipping(void) {
    struct pair pair = new_pair();
    uint64_t skipped = 9;
    OK(blockpipe_skip_to_latest(pair.consumer, &skipped));
    CHECK(skipped == 0);
    send_text(pair.producer, "old");
    send_text(pair.producer, "new");
    OK(blockpipe_skip_to_latest(pair.consumer, &skipped));
    CHECK(skipped == 1);
    OK(blockpipe_skip_to_latest(pair.consumer, NULL));
    blockpipe_filled_block *full = filled(pair.consumer);
    IS(BLOCKPIPE_MISUSE, blockpipe_skip_to_latest(pair.consumer, &skipped));
    IS(BLOCKPIPE_MISUSE, blockpipe_skip_all(pair.consumer, &skipped));
    blockpipe_filled_block_free(&full);
    send_text(pair.producer, "newer");
    OK(blockpipe_skip_all(pair.consumer, &skipped));
    CHECK(skipped == 2);
    OK(blockpipe_skip_all(pair.consumer, NULL));
    send_text(pair.producer, "newest");
    expect_text(pair.consumer, "newest");
    finish_pair(&pair);
}

/* A block that is only freed is handed out once more; then a program that would loop for ever gets an error. */
void test_blocks_that_are_only_freed(void) {
    struct pair pair = new_pair();
    blockpipe_filled_block *full;
    send_text(pair.producer, "text");
    full = filled(pair.consumer);
    blockpipe_filled_block_free(&full);
    full = filled(pair.consumer);
    blockpipe_filled_block_free(&full);
    IS(BLOCKPIPE_MISUSE, blockpipe_next_filled(pair.consumer, 0, &full));
    expect_text(pair.consumer, "text");
    finish_pair(&pair);
}

void test_blocks_of_another_end(void) {
    struct pair here = new_pair(), there = new_pair();
    blockpipe_empty_block *block = empty(here.producer);
    IS(BLOCKPIPE_MISUSE, blockpipe_send(there.producer, &block, 1));
    SAYS("belongs to another end");
    CHECK(block == NULL);
    send_text(there.producer, "there");
    send_text(here.producer, "here");
    blockpipe_filled_block *full = filled(here.consumer);
    IS(BLOCKPIPE_MISUSE, blockpipe_release(there.consumer, &full));
    CHECK(full == NULL);
    expect_text(there.consumer, "there");
    expect_text(here.consumer, "here");
    finish_pair(&here);
    finish_pair(&there);
}

void test_blocks_outlive_their_ends(void) {
    struct pair pair = new_pair();
    send_text(pair.producer, "text");
    blockpipe_empty_block *block = empty(pair.producer);
    blockpipe_filled_block *full = filled(pair.consumer);
    free_pair(&pair);
    memset(blockpipe_empty_block_data(block), 1, BLOCK_SIZE);
    CHECK(memcmp(blockpipe_filled_block_data(full), "text", 4) == 0);
    blockpipe_empty_block_free(&block);
    blockpipe_filled_block_free(&full);
}
