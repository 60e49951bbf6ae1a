/* Wrong arguments, NULL, and calls in the wrong order. */
#define _GNU_SOURCE
#include "test.h"

void test_messages(void) {
    uint32_t code = 7;
    blockpipe_options *options = (void *)1;
    CHECK(blockpipe_last_message()[0] == '\0');
    CHECK(blockpipe_last_reason(&code) == NULL && code == 0);
    CHECK(blockpipe_protocol_version() >= 9);
    CHECK(!blockpipe_is_final(BLOCKPIPE_OK) && !blockpipe_is_final(BLOCKPIPE_END));
    CHECK(!blockpipe_is_final(BLOCKPIPE_FORKED) && !blockpipe_is_final(BLOCKPIPE_NULL_ARGUMENT));
    CHECK(blockpipe_is_final(BLOCKPIPE_PEER_DIED) && blockpipe_is_final(BLOCKPIPE_INTERNAL));

    IS(BLOCKPIPE_MISUSE, blockpipe_options_new("", &options));
    CHECK(options == NULL);
    CHECK(strcmp(blockpipe_last_message(), "blockpipe_options_new: the name is empty") == 0);
    /* A call that succeeds leaves the message. */
    options = new_options();
    SAYS("the name is empty");
    blockpipe_options_free(&options);
}

static void *read_message(void *first) {
    *(char *)first = blockpipe_last_message()[0];
    return NULL;
}

void test_messages_of_threads(void) {
    pthread_t thread;
    char first = 1;
    IS_NULL(blockpipe_cancel(NULL));
    CHECK(pthread_create(&thread, NULL, read_message, &first) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(first == '\0');
    SAYS("blockpipe_cancel: `canceller` is NULL");
}

void test_null(void) {
    blockpipe_empty_block *no_empty = NULL;
    blockpipe_filled_block *no_filled = NULL;
    blockpipe_producer *producer = (void *)1;
    blockpipe_consumer *consumer = (void *)1;
    blockpipe_canceller *canceller = (void *)1;
    blockpipe_options *options = (void *)1;
    blockpipe_state state;
    uint8_t bytes[64];
    size_t length;
    uint64_t number;
    uint32_t word;
    int descriptor;
    struct pair pair = new_pair();

    IS_NULL(blockpipe_options_new(NULL, &options));
    CHECK(options == NULL);
    IS_NULL(blockpipe_options_new("x", NULL));
    OK(blockpipe_options_new("x", &options));
    IS_NULL(blockpipe_options_set_tag(NULL, "x", 1));
    IS_NULL(blockpipe_options_set_tag(options, NULL, 1));
    OK(blockpipe_options_set_tag(options, NULL, 0));
    IS_NULL(blockpipe_options_set_blocks(NULL, 1, 1));
    IS_NULL(blockpipe_options_set_directory(NULL, "x"));
    IS_NULL(blockpipe_options_set_directory(options, NULL));
    IS_NULL(blockpipe_options_set_connect_timeout(NULL, 1));
    IS_NULL(blockpipe_options_set_replace_within(NULL, 1));
    IS_NULL(blockpipe_join(NULL, &producer, &consumer));
    CHECK(producer == NULL && consumer == NULL);
    producer = (void *)1;
    consumer = (void *)1;
    IS_NULL(blockpipe_join(options, NULL, &consumer));
    CHECK(consumer == NULL);
    IS_NULL(blockpipe_join(options, &producer, NULL));
    CHECK(producer == NULL);
    IS_NULL(blockpipe_join_as_producer(NULL, &producer));
    IS_NULL(blockpipe_join_as_producer(options, NULL));
    IS_NULL(blockpipe_join_as_consumer(NULL, &consumer));
    IS_NULL(blockpipe_join_as_consumer(options, NULL));
    IS_NULL(blockpipe_inspect(NULL, &state, sizeof state));
    IS_NULL(blockpipe_inspect(options, NULL, sizeof state));
    blockpipe_options_free(&options);

    IS_NULL(blockpipe_producer_predecessor(NULL, bytes, 1, &length));
    IS_NULL(blockpipe_producer_peer_hello(NULL, bytes, 1, &length));
    IS_NULL(blockpipe_producer_peer_user(NULL, &word));
    IS_NULL(blockpipe_producer_geometry(NULL, &length, &length));
    IS_NULL(blockpipe_ready(NULL, 1, 1, NULL, 0));
    IS_NULL(blockpipe_start(NULL, bytes));
    no_empty = (void *)1;
    IS_NULL(blockpipe_next_empty(NULL, 0, &no_empty));
    CHECK(no_empty == NULL);
    IS_NULL(blockpipe_next_empty(pair.producer, 0, NULL));
    IS_NULL(blockpipe_send(pair.producer, NULL, 0));
    IS_NULL(blockpipe_send(pair.producer, &no_empty, 0));
    IS_NULL(blockpipe_send_with(pair.producer, NULL, 0, bytes));
    IS_NULL(blockpipe_send_with(pair.producer, &no_empty, 0, bytes));
    IS_NULL(blockpipe_producer_check(NULL));
    IS_NULL(blockpipe_producer_finish(NULL));
    IS_NULL(blockpipe_close(NULL, NULL, 0));
    IS_NULL(blockpipe_close(pair.producer, NULL, 1));
    IS_NULL(blockpipe_remark(NULL, &word, NULL, 0));
    IS_NULL(blockpipe_producer_abort(NULL, 1, "x"));
    IS_NULL(blockpipe_producer_canceller(NULL, &canceller));
    IS_NULL(blockpipe_producer_canceller(pair.producer, NULL));
    IS_NULL(blockpipe_producer_descriptor(NULL, &descriptor));

    IS_NULL(blockpipe_consumer_predecessor(NULL, bytes, 1, &length));
    CHECK(!blockpipe_predecessor_was_committing(NULL));
    IS_NULL(blockpipe_consumer_peer_hello(NULL, bytes, 1, &length));
    IS_NULL(blockpipe_consumer_peer_hello(pair.consumer, NULL, 1, &length));
    IS_NULL(blockpipe_consumer_peer_user(NULL, &word));
    IS_NULL(blockpipe_consumer_geometry(NULL, &length, &length));
    IS_NULL(blockpipe_begin(NULL, NULL, 0, NULL, bytes));
    IS_NULL(blockpipe_begin(pair.consumer, NULL, 1, NULL, bytes));
    no_filled = (void *)1;
    IS_NULL(blockpipe_next_filled(NULL, 0, &no_filled));
    CHECK(no_filled == NULL);
    IS_NULL(blockpipe_next_filled(pair.consumer, 0, NULL));
    IS_NULL(blockpipe_release(pair.consumer, NULL));
    IS_NULL(blockpipe_release(pair.consumer, &no_filled));
    IS_NULL(blockpipe_release_with(pair.consumer, NULL, bytes));
    IS_NULL(blockpipe_release_with(pair.consumer, &no_filled, bytes));
    IS_NULL(blockpipe_skip_to_latest(NULL, &number));
    IS_NULL(blockpipe_skip_all(NULL, &number));
    IS_NULL(blockpipe_consumer_check(NULL));
    IS_NULL(blockpipe_trailer(NULL, bytes));
    IS_NULL(blockpipe_trailer(pair.consumer, NULL));
    IS_NULL(blockpipe_consumer_finish(NULL));
    IS_NULL(blockpipe_commit(NULL));
    IS_NULL(blockpipe_set_remark(NULL, 1, "x"));
    IS_NULL(blockpipe_complete(NULL));
    IS_NULL(blockpipe_consumer_abort(NULL, 1, "x"));
    canceller = (void *)1;
    IS_NULL(blockpipe_consumer_canceller(NULL, &canceller));
    CHECK(canceller == NULL);
    IS_NULL(blockpipe_consumer_canceller(pair.consumer, NULL));
    IS_NULL(blockpipe_consumer_descriptor(NULL, &descriptor));

    CHECK(blockpipe_empty_block_data(NULL) == NULL);
    CHECK(blockpipe_empty_block_capacity(NULL) == 0 && blockpipe_empty_block_number(NULL) == 0);
    IS_NULL(blockpipe_empty_block_set_header(NULL, bytes, 1));
    CHECK(blockpipe_filled_block_data(NULL) == NULL);
    CHECK(blockpipe_filled_block_length(NULL) == 0 && blockpipe_filled_block_number(NULL) == 0);
    IS_NULL(blockpipe_filled_block_header(NULL, bytes, 1));

    /* A missing argument consumes no block. */
    blockpipe_empty_block *block = empty(pair.producer);
    IS_NULL(blockpipe_empty_block_set_header(block, NULL, 1));
    IS_NULL(blockpipe_send(NULL, &block, 1));
    IS_NULL(blockpipe_send_with(NULL, &block, 1, bytes));
    IS_NULL(blockpipe_send_with(pair.producer, &block, 1, NULL));
    CHECK(block != NULL);
    OK(blockpipe_send(pair.producer, &block, 1));
    blockpipe_filled_block *full = filled(pair.consumer);
    IS_NULL(blockpipe_filled_block_header(full, NULL, 0));
    IS_NULL(blockpipe_release(NULL, &full));
    IS_NULL(blockpipe_release_with(NULL, &full, bytes));
    IS_NULL(blockpipe_release_with(pair.consumer, &full, NULL));
    CHECK(full != NULL);
    OK(blockpipe_release(pair.consumer, &full));
    finish_pair(&pair);
}

void test_freeing_nothing(void) {
    struct pair none = {NULL, NULL, NULL};
    blockpipe_empty_block *no_empty = NULL;
    blockpipe_filled_block *no_filled = NULL;
    blockpipe_canceller *no_canceller = NULL;
    free_pair(&none);
    blockpipe_empty_block_free(&no_empty);
    blockpipe_filled_block_free(&no_filled);
    blockpipe_canceller_free(&no_canceller);
    blockpipe_options_free(NULL);
    blockpipe_producer_free(NULL);
    blockpipe_consumer_free(NULL);
    blockpipe_empty_block_free(NULL);
    blockpipe_filled_block_free(NULL);
    blockpipe_canceller_free(NULL);
}

void test_nothing_is_freed_twice(void) {
    struct pair pair = new_pair();
    blockpipe_canceller *canceller;
    blockpipe_empty_block *block = empty(pair.producer);
    OK(blockpipe_send(pair.producer, &block, 1));
    CHECK(block == NULL);
    blockpipe_empty_block_free(&block);
    IS_NULL(blockpipe_send(pair.producer, &block, 1));
    block = empty(pair.producer);
    CHECK(blockpipe_empty_block_number(block) == 1);
    blockpipe_empty_block_free(&block);
    CHECK(block == NULL);
    blockpipe_empty_block_free(&block);
    /* A block that was freed is handed out again. */
    block = empty(pair.producer);
    CHECK(blockpipe_empty_block_number(block) == 1);
    blockpipe_empty_block_free(&block);

    blockpipe_filled_block *full = filled(pair.consumer);
    blockpipe_filled_block_free(&full);
    CHECK(full == NULL);
    blockpipe_filled_block_free(&full);
    full = filled(pair.consumer);
    CHECK(blockpipe_filled_block_number(full) == 0);
    OK(blockpipe_release(pair.consumer, &full));
    CHECK(full == NULL);
    blockpipe_filled_block_free(&full);
    IS_NULL(blockpipe_release(pair.consumer, &full));

    OK(blockpipe_consumer_canceller(pair.consumer, &canceller));
    blockpipe_canceller_free(&canceller);
    CHECK(canceller == NULL);
    blockpipe_canceller_free(&canceller);
    finish_pair(&pair);
    CHECK(pair.producer == NULL && pair.consumer == NULL && pair.options == NULL);
    free_pair(&pair);
}

/* Calls that are not allowed change nothing. */
void test_wrong_order(void) {
    static char much[1025];
    struct pair pair = new_pair();
    blockpipe_empty_block *first = empty(pair.producer), *second, *none;
    blockpipe_filled_block *full;
    IS(BLOCKPIPE_MISUSE, blockpipe_ready(pair.producer, BLOCK_SIZE, 2, NULL, 0));
    IS(BLOCKPIPE_MISUSE, blockpipe_start(pair.producer, NULL));
    IS(BLOCKPIPE_MISUSE, blockpipe_begin(pair.consumer, much, sizeof much, NULL, NULL));
    OK(blockpipe_begin(pair.consumer, much, BLOCKPIPE_MAX_HELLO, NULL, NULL));
    IS(BLOCKPIPE_MISUSE, blockpipe_begin(pair.consumer, NULL, 0, NULL, NULL));
    IS(BLOCKPIPE_MISUSE, blockpipe_empty_block_set_header(first, much, BLOCKPIPE_HEADER_LENGTH + 1));
    IS(BLOCKPIPE_MISUSE, blockpipe_empty_block_set_header(first, much, (size_t)-1));

    /* A block that is too short is not sent, but freed, and handed out again. */
    IS(BLOCKPIPE_MISUSE, blockpipe_send(pair.producer, &first, BLOCK_SIZE + 1));
    SAYS("blockpipe_send: pipe \"blockpipe tests");
    CHECK(first == NULL);
    first = empty(pair.producer);
    CHECK(blockpipe_empty_block_number(first) == 0);
    second = empty(pair.producer);
    IS(BLOCKPIPE_MISUSE, blockpipe_next_empty(pair.producer, -1, &none));
    IS(BLOCKPIPE_MISUSE, blockpipe_producer_finish(pair.producer));
    OK(blockpipe_send(pair.producer, &second, 2));
    blockpipe_empty_block_free(&first);
    IS(BLOCKPIPE_MISUSE, blockpipe_close(pair.producer, NULL, 0));
    first = empty(pair.producer);
    OK(blockpipe_send(pair.producer, &first, 1));

    full = filled(pair.consumer);
    IS(BLOCKPIPE_MISUSE, blockpipe_filled_block_header(full, much, BLOCKPIPE_HEADER_LENGTH + 1));
    IS(BLOCKPIPE_MISUSE, blockpipe_commit(pair.consumer));
    IS(BLOCKPIPE_MISUSE, blockpipe_consumer_finish(pair.consumer));
    IS(BLOCKPIPE_MISUSE, blockpipe_complete(pair.consumer));
    SAYS("`blockpipe_commit` comes first");
    IS(BLOCKPIPE_MISUSE, blockpipe_set_remark(pair.consumer, 1, "too early"));
    OK(blockpipe_release(pair.consumer, &full));
    IS(BLOCKPIPE_MISUSE, blockpipe_consumer_finish(pair.consumer));
    full = filled(pair.consumer);
    OK(blockpipe_release(pair.consumer, &full));
    IS(BLOCKPIPE_MISUSE, blockpipe_close(pair.producer, much, BLOCKPIPE_TRAILER_LENGTH + 1));

    /* The end of the stream does not replace `blockpipe_commit`. */
    struct finish finish;
    start_finish(&finish, pair.producer, NULL);
    expect_end(pair.consumer);
    IS(BLOCKPIPE_MISUSE, blockpipe_complete(pair.consumer));
    IS(BLOCKPIPE_MISUSE, blockpipe_set_remark(pair.consumer, 1, "too early"));
    OK(blockpipe_consumer_finish(pair.consumer));
    OK(end_finish(&finish));
    free_pair(&pair);
}
