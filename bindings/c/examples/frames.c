/*
 * Frames of a camera, from one process to another.
 *
 *     frames send NAME COUNT PERIOD     makes COUNT frames, one each PERIOD milliseconds
 *     frames receive NAME TIME          takes TIME milliseconds for each frame
 *
 * The camera does not wait: if all blocks are full, the frame is dropped. Either process can be killed and started again
 * with the same arguments, and continues where the dead one stopped. At the end, both print how many frames there were.
 * frames.cpp and frames.rs do the same; every pair of the three works together.
 */
#define _POSIX_C_SOURCE 200809L
#include <blockpipe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME_SIZE 65536

/* The content of a block's header. */
struct frame_header {
    uint64_t number;
    uint64_t nanoseconds;
};

/* The content of a resume point. Observers read the first word. */
struct point {
    uint64_t bytes;
    uint64_t next;
    uint64_t frames;
    uint64_t unused;
};

_Static_assert(sizeof(struct frame_header) <= BLOCKPIPE_HEADER_LENGTH, "too large");
_Static_assert(sizeof(struct point) == BLOCKPIPE_POINT_LENGTH, "too large");

/* Ends the process if the call has failed. The kernel then releases the seat. */
static void check(blockpipe_result result) {
    if (result < 0) {
        fprintf(stderr, "frames: %s\n", blockpipe_last_message());
        exit(1);
    }
}

static void sleep_for(long milliseconds) {
    const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void send_frames(const blockpipe_options *options, uint64_t count, long period) {
    blockpipe_producer *producer;
    struct point point;
    check(blockpipe_join_as_producer(options, &producer));
    check(blockpipe_start(producer, (uint8_t *)&point));
    fprintf(stderr, "sending from frame %llu\n", (unsigned long long)point.next);

    for (uint64_t number = point.next; number < count; number++) {
        blockpipe_empty_block *block;
        sleep_for(period);
        const struct frame_header header = {number, now()};
        const blockpipe_result result = blockpipe_next_empty(producer, 0, &block);
        check(result);
        if (result == BLOCKPIPE_NOTHING) {
            continue; /* The receiver is slow: drop this frame. */
        }
        memset(blockpipe_empty_block_data(block), (int)(number & 0xff), FRAME_SIZE);
        check(blockpipe_empty_block_set_header(block, &header, sizeof header));
        point.bytes += FRAME_SIZE;
        point.next = number + 1;
        point.frames++;
        check(blockpipe_send_with(producer, &block, FRAME_SIZE, (const uint8_t *)&point));
    }
    check(blockpipe_close(producer, &point.frames, sizeof point.frames));
    printf("sent %llu of %llu\n", (unsigned long long)point.frames, (unsigned long long)count);
    blockpipe_producer_free(&producer);
}

static void receive_frames(const blockpipe_options *options, long time) {
    blockpipe_consumer *consumer;
    blockpipe_filled_block *block;
    blockpipe_result result;
    struct point point;
    uint64_t trailer[BLOCKPIPE_TRAILER_LENGTH / sizeof(uint64_t)];
    check(blockpipe_join_as_consumer(options, &consumer));
    check(blockpipe_begin(consumer, NULL, 0, NULL, (uint8_t *)&point));
    fprintf(stderr, "receiving from frame %llu\n", (unsigned long long)point.next);

    while ((result = blockpipe_next_filled(consumer, -1, &block)) == BLOCKPIPE_OK) {
        struct frame_header header;
        check(blockpipe_filled_block_header(block, &header, sizeof header));
        const unsigned char *data = blockpipe_filled_block_data(block);
        const size_t length = blockpipe_filled_block_length(block);
        if (length != FRAME_SIZE || header.number < point.next || data[length - 1] != (header.number & 0xff)) {
            check(blockpipe_consumer_abort(consumer, 1, "this is not the next frame"));
        }
        sleep_for(time); /* Here a program would use the frame. */
        point.bytes += length;
        point.next = header.number + 1;
        point.frames++;
        check(blockpipe_release_with(consumer, &block, (const uint8_t *)&point));
    }
    check(result);
    check(blockpipe_trailer(consumer, (uint8_t *)trailer));
    if (trailer[0] != point.frames) {
        check(blockpipe_consumer_abort(consumer, 2, "frames are missing"));
    }
    check(blockpipe_consumer_finish(consumer));
    printf("received %llu\n", (unsigned long long)point.frames);
    blockpipe_consumer_free(&consumer);
}

int main(int argc, char **argv) {
    static const char tag[] = "frames";
    const int sends = argc == 5 && strcmp(argv[1], "send") == 0;
    if (!sends && !(argc == 4 && strcmp(argv[1], "receive") == 0)) {
        fputs("usage: frames send NAME COUNT PERIOD | frames receive NAME TIME\n", stderr);
        return 2;
    }
    blockpipe_options *options;
    check(blockpipe_options_new(argv[2], &options));
    check(blockpipe_options_set_tag(options, tag, sizeof tag - 1));
    check(blockpipe_options_set_blocks(options, FRAME_SIZE, 4));
    check(blockpipe_options_set_connect_timeout(options, 10000));
    check(blockpipe_options_set_replace_within(options, 10000));
    if (sends) {
        send_frames(options, strtoull(argv[3], NULL, 10), strtol(argv[4], NULL, 10));
    } else {
        receive_frames(options, strtol(argv[3], NULL, 10));
    }
    blockpipe_options_free(&options);
    return 0;
}
