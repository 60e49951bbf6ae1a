/* Verdicts, replacements of dead ends, and forked children. */
#define _GNU_SOURCE
#include "test.h"

#include <signal.h>

static void is_reason(int line, uint32_t code, const char *text) {
    uint32_t found;
    const char *reason = blockpipe_last_reason(&found);
    if (!reason || strcmp(reason, text) != 0 || found != code) {
        fail(__FILE__, line, "another reason");
    }
}

void test_aborting(void) {
    struct pair pair = new_pair();
    blockpipe_filled_block *full;
    IS(BLOCKPIPE_ABORTED, blockpipe_producer_abort(pair.producer, 7, "no more frames"));
    is_reason(__LINE__, 7, "no more frames");
    IS(BLOCKPIPE_OVER, blockpipe_producer_check(pair.producer));
    CHECK(blockpipe_last_reason(NULL) == NULL);
    IS(BLOCKPIPE_ABORTED, blockpipe_next_filled(pair.consumer, -1, &full));
    SAYS("the producer aborted with code 7: no more frames");
    is_reason(__LINE__, 7, "no more frames");
    free_pair(&pair);

    pair = new_pair();
    IS(BLOCKPIPE_ABORTED, blockpipe_consumer_abort(pair.consumer, 8, NULL));
    IS(BLOCKPIPE_ABORTED, blockpipe_producer_finish(pair.producer));
    SAYS("the consumer aborted with code 8");
    is_reason(__LINE__, 8, "");
    free_pair(&pair);

    /* Before the producer is ready, joining fails with the reason. */
    struct joined joined = {.pair = {new_options(), NULL, NULL}};
    pthread_t thread;
    blockpipe_producer *producer;
    blockpipe_state state = {0};
    OK(blockpipe_join_as_producer(joined.pair.options, &producer));
    CHECK(pthread_create(&thread, NULL, run_join, &joined) == 0);
    while (state.consumer == 0) {
        OK(blockpipe_inspect(joined.pair.options, &state, sizeof state));
    }
    IS(BLOCKPIPE_ABORTED, blockpipe_producer_abort(producer, 9, "no source"));
    CHECK(pthread_join(thread, NULL) == 0 && joined.result == BLOCKPIPE_ABORTED);
    blockpipe_producer_free(&producer);
    blockpipe_options_free(&joined.pair.options);
}

void test_committing(void) {
    struct pair pair = new_pair();
    struct finish finish;
    uint32_t code;
    char text[16];
    start_finish(&finish, pair.producer, NULL);
    expect_end(pair.consumer);
    OK(blockpipe_commit(pair.consumer));
    OK(blockpipe_commit(pair.consumer));
    OK(blockpipe_set_remark(pair.consumer, 3, "two were damaged"));
    OK(blockpipe_complete(pair.consumer));
    OK(end_finish(&finish));
    OK(blockpipe_remark(pair.producer, &code, text, sizeof text));
    CHECK(code == 3 && strcmp(text, "two were damage") == 0);
    OK(blockpipe_remark(pair.producer, NULL, NULL, 0));
    IS(BLOCKPIPE_OVER, blockpipe_producer_abort(pair.producer, 1, NULL));
    IS(BLOCKPIPE_OVER, blockpipe_complete(pair.consumer));
    free_pair(&pair);

    pair = new_pair();
    start_finish(&finish, pair.producer, NULL);
    expect_end(pair.consumer);
    OK(blockpipe_commit(pair.consumer));
    IS(BLOCKPIPE_ABORTED, blockpipe_consumer_abort(pair.consumer, 4, "no space"));
    IS(BLOCKPIPE_ABORTED, end_finish(&finish));
    free_pair(&pair);

    pair = new_pair();
    start_finish(&finish, pair.producer, NULL);
    expect_end(pair.consumer);
    OK(blockpipe_commit(pair.consumer));
    blockpipe_consumer_free(&pair.consumer);
    IS(BLOCKPIPE_DIED_COMMITTING, end_finish(&finish));
    free_pair(&pair);
}

void test_death(void) {
    blockpipe_options *options = new_options();
    blockpipe_consumer *consumer;
    blockpipe_producer *producer;
    blockpipe_filled_block *full;
    blockpipe_empty_block *block;
    OK(blockpipe_join_as_producer(options, &producer));
    OK(blockpipe_ready(producer, BLOCK_SIZE, 2, NULL, 0));
    IN_CHILD({
        /* The child's copy of the parent's end would keep the seat taken. */
        blockpipe_producer_free(&producer);
        OK(blockpipe_join_as_consumer(options, &consumer));
        OK(blockpipe_begin(consumer, NULL, 0, NULL, NULL));
    });
    send_text(producer, "1");
    send_text(producer, "2");
    IS(BLOCKPIPE_PEER_DIED, blockpipe_next_empty(producer, -1, &block));
    SAYS("blockpipe_next_empty: pipe \"");
    blockpipe_producer_free(&producer);

    /* A producer that is freed while one of its blocks is in use aborts. */
    struct pair pair = join_both(options);
    block = empty(pair.producer);
    blockpipe_producer_free(&pair.producer);
    IS(BLOCKPIPE_ABORTED, blockpipe_next_filled(pair.consumer, -1, &full));
    blockpipe_empty_block_free(&block);
    free_pair(&pair);
}

void test_replacing(void) {
    blockpipe_options *options, *plain;
    char name[64];
    blockpipe_producer *producer;
    blockpipe_consumer *consumer;
    blockpipe_filled_block *full;
    char hello[16], byte = 0;
    size_t length, block_size, blocks;
    uint8_t sent[32] = {5, 0, 0, 0, 0, 0, 0, 0, 42}, released[32] = {6}, point[32];
    int sent_one[2], status;
    snprintf(name, sizeof name, "blockpipe tests %ld replacing", (long)getpid());
    OK(blockpipe_options_new(name, &options));
    OK(blockpipe_options_new(name, &plain));
    OK(blockpipe_options_set_replace_within(options, WITHIN));
    CHECK(pipe(sent_one) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(30);
        OK(blockpipe_join_as_producer(options, &producer));
        OK(blockpipe_ready(producer, BLOCK_SIZE, 2, "source", 6));
        OK(blockpipe_start(producer, NULL));
        blockpipe_empty_block *block = empty(producer);
        memcpy(blockpipe_empty_block_data(block), "first", 5);
        OK(blockpipe_send_with(producer, &block, 5, sent));
        block = empty(producer); /* It dies while it holds this block. */
        CHECK(write(sent_one[1], &byte, 1) == 1);
        pause();
    }
    OK(blockpipe_join_as_consumer(options, &consumer));
    OK(blockpipe_begin(consumer, "target", 6, NULL, NULL));
    CHECK(read(sent_one[0], &byte, 1) == 1);
    CHECK(close(sent_one[0]) == 0 && close(sent_one[1]) == 0);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);

    IS(BLOCKPIPE_AWAITS_REPLACEMENT, blockpipe_join_as_producer(plain, &producer));
    SAYS("is the consumer and waits for a replacement of its dead peer");
    blockpipe_options_free(&plain);
    OK(blockpipe_join_as_producer(options, &producer));
    OK(blockpipe_producer_predecessor(producer, hello, sizeof hello, &length));
    CHECK(length == 6 && memcmp(hello, "source", 6) == 0);
    IS(BLOCKPIPE_OTHER_GEOMETRY, blockpipe_ready(producer, 8 * BLOCK_SIZE, 2, NULL, 0));
    SAYS("the dead producer used 2 blocks of 4096 bytes");
    OK(blockpipe_producer_geometry(producer, &block_size, &blocks));
    OK(blockpipe_ready(producer, block_size, blocks, NULL, 0));
    OK(blockpipe_start(producer, point));
    CHECK(memcmp(point, sent, 32) == 0);
    send_text(producer, "second");

    /* The consumer gives up after one block, and another process replaces it. */
    full = filled(consumer);
    OK(blockpipe_release_with(consumer, &full, released));
    blockpipe_consumer_free(&consumer);
    IN_CHILD({
        OK(blockpipe_join_as_consumer(options, &consumer));
        OK(blockpipe_consumer_predecessor(consumer, hello, sizeof hello, &length));
        CHECK(length == 6 && memcmp(hello, "target", 6) == 0);
        CHECK(!blockpipe_predecessor_was_committing(consumer));
        OK(blockpipe_begin(consumer, NULL, 0, NULL, point));
        CHECK(memcmp(point, released, 32) == 0);
        expect_text(consumer, "second");
    });

    /* The next consumer dies while it commits. */
    struct finish finish;
    start_finish(&finish, producer, NULL);
    IN_CHILD({
        OK(blockpipe_join_as_consumer(options, &consumer));
        expect_end(consumer);
        OK(blockpipe_commit(consumer));
    });
    OK(blockpipe_join_as_consumer(options, &consumer));
    CHECK(blockpipe_predecessor_was_committing(consumer));
    expect_end(consumer);
    OK(blockpipe_commit(consumer));
    OK(blockpipe_complete(consumer));
    OK(end_finish(&finish));
    blockpipe_consumer_free(&consumer);
    blockpipe_producer_free(&producer);
    blockpipe_options_free(&options);
}

void test_forking(void) {
    struct pair pair = new_pair();
    blockpipe_canceller *canceller;
    send_text(pair.producer, "text");
    blockpipe_empty_block *block = empty(pair.producer);
    blockpipe_filled_block *full = filled(pair.consumer);
    OK(blockpipe_consumer_canceller(pair.consumer, &canceller));
    IN_CHILD({
        blockpipe_empty_block *other;
        blockpipe_filled_block *another;
        uint8_t bytes[64];
        uint32_t word;
        int descriptor;
        CHECK(blockpipe_empty_block_data(block) == NULL);
        SAYS("blockpipe_empty_block_data: this end belongs to the process that forked this one");
        CHECK(blockpipe_filled_block_data(full) == NULL);
        CHECK(blockpipe_empty_block_capacity(block) == BLOCK_SIZE && blockpipe_empty_block_number(block) == 1);
        OK(blockpipe_empty_block_set_header(block, "x", 1));
        CHECK(blockpipe_filled_block_length(full) == 4 && blockpipe_filled_block_number(full) == 0);
        IS(BLOCKPIPE_FORKED, blockpipe_filled_block_header(full, bytes, 40));
        IS(BLOCKPIPE_FORKED, blockpipe_ready(pair.producer, BLOCK_SIZE, 2, NULL, 0));
        IS(BLOCKPIPE_FORKED, blockpipe_start(pair.producer, bytes));
        IS(BLOCKPIPE_FORKED, blockpipe_producer_peer_hello(pair.producer, bytes, 64, NULL));
        IS(BLOCKPIPE_FORKED, blockpipe_producer_peer_user(pair.producer, &word));
        IS(BLOCKPIPE_FORKED, blockpipe_producer_check(pair.producer));
        IS(BLOCKPIPE_FORKED, blockpipe_producer_descriptor(pair.producer, &descriptor));
        IS(BLOCKPIPE_FORKED, blockpipe_next_empty(pair.producer, -1, &other));
        IS(BLOCKPIPE_FORKED, blockpipe_producer_finish(pair.producer));
        IS(BLOCKPIPE_FORKED, blockpipe_close(pair.producer, NULL, 0));
        IS(BLOCKPIPE_FORKED, blockpipe_producer_abort(pair.producer, 1, "x"));
        OK(blockpipe_remark(pair.producer, &word, NULL, 0));
        IS(BLOCKPIPE_FORKED, blockpipe_begin(pair.consumer, NULL, 0, NULL, NULL));
        IS(BLOCKPIPE_FORKED, blockpipe_next_filled(pair.consumer, -1, &another));
        IS(BLOCKPIPE_FORKED, blockpipe_skip_to_latest(pair.consumer, NULL));
        IS(BLOCKPIPE_FORKED, blockpipe_skip_all(pair.consumer, NULL));
        IS(BLOCKPIPE_FORKED, blockpipe_consumer_check(pair.consumer));
        IS(BLOCKPIPE_FORKED, blockpipe_consumer_peer_user(pair.consumer, &word));
        IS(BLOCKPIPE_FORKED, blockpipe_consumer_descriptor(pair.consumer, &descriptor));
        IS(BLOCKPIPE_FORKED, blockpipe_consumer_finish(pair.consumer));
        IS(BLOCKPIPE_FORKED, blockpipe_commit(pair.consumer));
        IS(BLOCKPIPE_FORKED, blockpipe_consumer_abort(pair.consumer, 1, "x"));
        OK(blockpipe_cancel(canceller));
        IS(BLOCKPIPE_FORKED, blockpipe_send(pair.producer, &block, 1));
        IS(BLOCKPIPE_FORKED, blockpipe_release(pair.consumer, &full));
        CHECK(block == NULL && full == NULL);
        blockpipe_canceller_free(&canceller);
        free_pair(&pair);
        /* The child can open ends of its own. */
        struct pair own = new_pair();
        send_text(own.producer, "own");
        expect_text(own.consumer, "own");
        finish_pair(&own);
    });
    /* Nothing has changed for the parent. */
    memcpy(blockpipe_empty_block_data(block), "more", 4);
    OK(blockpipe_send(pair.producer, &block, 4));
    CHECK(memcmp(blockpipe_filled_block_data(full), "text", 4) == 0);
    OK(blockpipe_release(pair.consumer, &full));
    expect_text(pair.consumer, "more");
    blockpipe_canceller_free(&canceller);
    finish_pair(&pair);
}
