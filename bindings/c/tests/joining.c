/* Joins that fail, and inspecting a pipe without joining it. */
#define _GNU_SOURCE
#include "test.h"

#include <fcntl.h>

void test_inspecting(void) {
    struct pair pair = {new_options(), NULL, NULL};
    struct finish finish;
    struct {
        blockpipe_state state;
        uint64_t later;
    } newer;
    blockpipe_state state;
    memset(&state, 1, sizeof state);
    IS(BLOCKPIPE_NOTHING, blockpipe_inspect(pair.options, &state, sizeof state));
    CHECK(state.generation == 0 && state.producer == 0);
    OK(blockpipe_join_as_producer(pair.options, &pair.producer));
    OK(blockpipe_inspect(pair.options, &state, sizeof state));
    CHECK(state.phase == BLOCKPIPE_OPENING && state.block_size == 0);
    CHECK(state.producer == (uint32_t)getpid() && state.producer_is_alive == 1 && state.consumer == 0);
    OK(blockpipe_ready(pair.producer, BLOCK_SIZE, 2, NULL, 0));
    OK(blockpipe_inspect(pair.options, &state, sizeof state));
    CHECK(state.phase == BLOCKPIPE_ALONE && state.block_size == BLOCK_SIZE && state.blocks == 2);
    OK(blockpipe_join_as_consumer(pair.options, &pair.consumer));
    send_text(pair.producer, "12345");
    /* A program that was compiled for a later library, and one that was compiled for an earlier one. */
    newer.later = 1;
    OK(blockpipe_inspect(pair.options, &newer.state, sizeof newer));
    CHECK(newer.state.phase == BLOCKPIPE_MOVING && newer.state.consumer == (uint32_t)getpid());
    CHECK(newer.state.sent == 5 && newer.state.released == 0 && newer.state.waiting_blocks == 1);
    CHECK(newer.later == 0);
    memset(&state, 1, sizeof state);
    OK(blockpipe_inspect(pair.options, &state, 16));
    CHECK(state.generation == newer.state.generation && state.sent == 5 && state.released == 0x0101010101010101);
    expect_text(pair.consumer, "12345");
    start_finish(&finish, pair.producer, NULL);
    expect_end(pair.consumer);
    OK(blockpipe_inspect(pair.options, &state, sizeof state));
    CHECK(state.phase == BLOCKPIPE_FINISHING && state.released == 5);
    OK(blockpipe_commit(pair.consumer));
    OK(blockpipe_inspect(pair.options, &state, sizeof state));
    CHECK(state.phase == BLOCKPIPE_COMMITTING);
    OK(blockpipe_complete(pair.consumer));
    OK(end_finish(&finish));
    free_pair(&pair);
}

void test_joins_that_fail(void) {
    struct pair pair = new_pair();
    blockpipe_producer *producer = (void *)1;
    blockpipe_consumer *consumer = (void *)1;
    IS(BLOCKPIPE_TOO_MANY_INSTANCES, blockpipe_join(pair.options, &producer, &consumer));
    CHECK(producer == NULL && consumer == NULL);
    SAYS("blockpipe_join: pipe \"blockpipe tests");
    SAYS(" in /");
    IS(BLOCKPIPE_TOO_MANY_INSTANCES, blockpipe_join_as_producer(pair.options, &producer));
    IS(BLOCKPIPE_TOO_MANY_INSTANCES, blockpipe_join_as_consumer(pair.options, &consumer));
    /* A consumer that has died, which the producer has not noticed. */
    OK(blockpipe_begin(pair.consumer, NULL, 0, NULL, NULL));
    blockpipe_consumer_free(&pair.consumer);
    IS(BLOCKPIPE_LEAVING, blockpipe_join_as_consumer(pair.options, &consumer));
    free_pair(&pair);

    blockpipe_options *options = new_options();
    OK(blockpipe_join_as_producer(options, &producer));
    /* Too little memory is no final error: the caller may try again. */
    IS(BLOCKPIPE_CALL_FAILED, blockpipe_ready(producer, 1 << 30, 1 << 16, NULL, 0));
    SAYS("reserving the blocks in shared memory: ");
    OK(blockpipe_ready(producer, BLOCK_SIZE, 1, NULL, 0));
    OK(blockpipe_options_set_tag(options, "another", 7));
    IS(BLOCKPIPE_OTHER_TAG, blockpipe_join_as_consumer(options, &consumer));
    blockpipe_producer_free(&producer);

    OK(blockpipe_options_set_connect_timeout(options, 0));
    IS(BLOCKPIPE_NO_PEER, blockpipe_join_as_consumer(options, &consumer));
    OK(blockpipe_options_set_directory(options, "/no such directory"));
    IS(BLOCKPIPE_IO, blockpipe_join_as_producer(options, &producer));
    SAYS("/no such directory");
    SAYS("No such file or directory");
    blockpipe_options_free(&options);
}

static void write_word(int file, long offset, uint32_t word) {
    CHECK(pwrite(file, &word, sizeof word, offset) == sizeof word);
}

/* Pipes whose file holds another version or garbage. */
void test_strange_pipes(void) {
    char directory[] = "/dev/shm/blockpipe-c-XXXXXX", command[128], path[256] = "", text[128];
    blockpipe_options *options = new_options();
    blockpipe_producer *producer, *other;
    blockpipe_consumer *consumer;
    uint32_t magic, version, state;
    CHECK(mkdtemp(directory));
    OK(blockpipe_options_set_directory(options, directory));
    OK(blockpipe_join_as_producer(options, &producer));
    IS(BLOCKPIPE_MISUSE, blockpipe_producer_peer_user(producer, &version));
    snprintf(command, sizeof command, "grep -l ^BLKPIPE %s/*", directory);
    FILE *list = popen(command, "r");
    CHECK(list && fgets(path, sizeof path, list));
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    const int file = open(path, O_RDWR);
    CHECK(pread(file, &magic, 4, 0) == 4 && pread(file, &version, 4, 8) == 4 && pread(file, &state, 4, 12) == 4);
    CHECK(version == blockpipe_protocol_version());

    write_word(file, 8, version + 1);
    IS(BLOCKPIPE_OTHER_VERSION, blockpipe_join_as_consumer(options, &consumer));
    snprintf(text, sizeof text, ": the peer uses version %u of the protocol, this is version %u", version + 1, version);
    CHECK(strstr(blockpipe_last_message(), text));
    write_word(file, 8, version);

    /* A process that is stopped while it joins. (Its locks belong to its open file.) */
    const int gate = open(path, O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    CHECK(fcntl(gate, F_OFD_SETLK, &lock) == 0);
    IS(BLOCKPIPE_BUSY, blockpipe_join_as_producer(options, &other));
    CHECK(close(gate) == 0);

    write_word(file, 0, 77);
    IS(BLOCKPIPE_FOREIGN, blockpipe_join_as_producer(options, &other));
    SAYS(path);
    write_word(file, 0, magic);

    /* A state that no correct producer writes. */
    write_word(file, 12, 77);
    IS(BLOCKPIPE_CORRUPT, blockpipe_join_as_consumer(options, &consumer));
    CHECK(close(file) == 0);
    blockpipe_producer_free(&producer);
    blockpipe_options_free(&options);
    snprintf(command, sizeof command, "rm -r %s", directory);
    CHECK(system(command) == 0);
}
