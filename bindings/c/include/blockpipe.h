/*
 * blockpipe: named, crash-safe pipes of large blocks in shared memory, from one process to another.
 *
 * Licence: MIT OR Apache-2.0. Generated from bindings/c/src by cbindgen; `ci/c header` writes it again.
 *
 * Two processes of one user join a pipe by its name. One gets the producer, which fills empty blocks and sends them, the
 * other the consumer, which receives filled blocks and releases them. Blocks change owner without being copied. Both
 * ends get the same verdict: complete, aborted with a reason, or the peer died.
 *
 * RESULTS. Most functions return a `blockpipe_result`: 0 is success, positive values are not failures (there is
 * nothing now, or the stream has ended), negative values are errors. After an error, `blockpipe_last_message` returns a
 * message for people. Out-parameters that are pointers are NULL after every result except BLOCKPIPE_OK.
 *
 * OWNERSHIP. The caller owns every object that a function stores through an out-parameter, until it frees it or gives it
 * away. Functions that free or consume an object take the address of the caller's pointer and set that pointer to NULL,
 * so the object cannot be used or freed again through it. Freeing NULL does nothing. A NULL argument where an object is
 * needed is an error (BLOCKPIPE_NULL_ARGUMENT) and never a crash; every other pointer must be valid. Bytes and strings
 * that are passed in are copied. Objects may be freed in any order: an end no longer needs its options, and a
 * block keeps its memory mapped after its end is freed.
 *
 * THREADS. An end and a block may be used by any thread, but by one at a time. Different objects may be used at the same
 * time: a worker may fill a block while another thread uses the end. A `blockpipe_canceller` may be used by all threads
 * at once. No function may be called in a signal handler.
 *
 * BLOCKING. Each function says whether it blocks. One that waits notices within about 50 ms that its peer has died.
 *
 * FORK. A forked child cannot use the ends and blocks of its parent (BLOCKPIPE_FORKED) and does no harm by freeing
 * them. Until it frees the ends, calls exec or exits, the peer believes that the parent is alive. To use a pipe there,
 * join again.
 *
 * TRUST. A faulty or malicious process of the same user can change a block while it is read or written. A program that
 * does not trust its peer copies a block before it checks what is in it.
 */


#ifndef BLOCKPIPE_H
#define BLOCKPIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The length in bytes of a block's header.
 */
#define BLOCKPIPE_HEADER_LENGTH 40

/**
 * The length in bytes of a resume point.
 */
#define BLOCKPIPE_POINT_LENGTH 32

/**
 * The length in bytes of a trailer.
 */
#define BLOCKPIPE_TRAILER_LENGTH 64

/**
 * The greatest length in bytes of a hello.
 */
#define BLOCKPIPE_MAX_HELLO 1024

/**
 * The result of a function: 0 is success, positive values are not failures, negative values are errors.
 */
enum blockpipe_result
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The call succeeded.
     */
    BLOCKPIPE_OK = 0,
    /**
     * There is nothing now: no block within the timeout, or no such value.
     */
    BLOCKPIPE_NOTHING = 1,
    /**
     * The last block has been handed out, and the producer has closed the stream.
     */
    BLOCKPIPE_END = 2,
    /**
     * An argument that must not be NULL is NULL. Nothing has changed.
     */
    BLOCKPIPE_NULL_ARGUMENT = -1,
    /**
     * The call is not allowed in this state, or not with these arguments. Nothing has changed.
     */
    BLOCKPIPE_MISUSE = -2,
    /**
     * A system call failed. Nothing has changed, and the caller may try again.
     */
    BLOCKPIPE_CALL_FAILED = -3,
    /**
     * The dead producer used another block size or number of blocks, which its replacement must keep. Nothing has
     * changed.
     */
    BLOCKPIPE_OTHER_GEOMETRY = -4,
    /**
     * The wait was ended by `blockpipe_cancel`. Nothing has changed.
     */
    BLOCKPIPE_CANCELED = -5,
    /**
     * The object was used in a forked child. Nothing has changed for the parent.
     */
    BLOCKPIPE_FORKED = -6,
    /**
     * Living processes hold both ends, or the end that was requested.
     */
    BLOCKPIPE_TOO_MANY_INSTANCES = -20,
    /**
     * Another process waits under this name with another tag.
     */
    BLOCKPIPE_OTHER_TAG = -21,
    /**
     * A process under this name uses another version of the protocol.
     */
    BLOCKPIPE_OTHER_VERSION = -22,
    /**
     * The name belongs to something that is not a pipe of this user; it was left alone.
     */
    BLOCKPIPE_FOREIGN = -23,
    /**
     * A pair under this name is ending, and did not finish within half a second.
     */
    BLOCKPIPE_LEAVING = -24,
    /**
     * Another process has been joining or leaving for more than half a second; it may be stopped.
     */
    BLOCKPIPE_BUSY = -25,
    /**
     * The other end waits for a replacement of its dead peer, and this process does not call
     * `blockpipe_options_set_replace_within`.
     */
    BLOCKPIPE_AWAITS_REPLACEMENT = -26,
    /**
     * No peer came within the connect timeout.
     */
    BLOCKPIPE_NO_PEER = -40,
    /**
     * One end aborted; both receive the same reason (`blockpipe_last_reason`).
     */
    BLOCKPIPE_ABORTED = -41,
    /**
     * The peer's process died before anything was final.
     */
    BLOCKPIPE_PEER_DIED = -42,
    /**
     * The consumer's process died while it was making its result final. Only the result itself shows whether it is.
     */
    BLOCKPIPE_DIED_COMMITTING = -43,
    /**
     * The peer violated the protocol; the pipe was aborted.
     */
    BLOCKPIPE_CORRUPT = -44,
    /**
     * A system call failed; an end that had joined has aborted the pipe.
     */
    BLOCKPIPE_IO = -45,
    /**
     * The end was used again after it had ended.
     */
    BLOCKPIPE_OVER = -46,
    /**
     * The wait was interrupted, and the pipe aborted.
     */
    BLOCKPIPE_INTERRUPTED = -47,
    /**
     * A bug in this library; the message describes it. Free the object that was used.
     */
    BLOCKPIPE_INTERNAL = -60,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum blockpipe_result blockpipe_result;
#else
typedef int32_t blockpipe_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The phase of a pipe: what its two ends are doing.
 */
enum blockpipe_phase
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The producer is getting ready, or none has come yet.
     */
    BLOCKPIPE_OPENING = 0,
    /**
     * The producer is ready, and one of the two ends has no process: no consumer has come yet, or a process has died and
     * was not replaced yet.
     */
    BLOCKPIPE_ALONE = 1,
    /**
     * Both processes are there, and blocks are being transferred.
     */
    BLOCKPIPE_MOVING = 2,
    /**
     * The producer has sent everything, and waits for the consumer.
     */
    BLOCKPIPE_FINISHING = 3,
    /**
     * The consumer is making its result final.
     */
    BLOCKPIPE_COMMITTING = 4,
    /**
     * The verdict is known.
     */
    BLOCKPIPE_PHASE_OVER = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum blockpipe_phase blockpipe_phase;
#else
typedef int32_t blockpipe_phase;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A handle that ends a wait of one end. All threads may use it at the same time.
 */
typedef struct blockpipe_canceller blockpipe_canceller;

/**
 * The end that receives filled blocks and releases them.
 */
typedef struct blockpipe_consumer blockpipe_consumer;

/**
 * A piece of shared memory that belongs to this process until it is sent. Its content is unspecified. Returned by
 * `blockpipe_next_empty`, and consumed by `blockpipe_send` or `blockpipe_send_with`.
 */
typedef struct blockpipe_empty_block blockpipe_empty_block;

/**
 * A piece of shared memory with the bytes that the producer sent. Returned by `blockpipe_next_filled`, and consumed by
 * `blockpipe_release` or `blockpipe_release_with`.
 */
typedef struct blockpipe_filled_block blockpipe_filled_block;

/**
 * The name of a pipe and how a process joins it. Each option is set by a function, so that later versions of the
 * library can add options without breaking programs that were compiled earlier. An option that is not set has its
 * default. The object may be used for any number of joins.
 */
typedef struct blockpipe_options blockpipe_options;

/**
 * The end that fills empty blocks and sends them.
 */
typedef struct blockpipe_producer blockpipe_producer;

/**
 * The state of a pipe at one moment. Later versions may have more fields after these.
 */
typedef struct blockpipe_state {
    /**
     * The random number of this pairing.
     */
    uint64_t generation;
    /**
     * The progress of the producer's last resume point: bytes sent so far.
     */
    uint64_t sent;
    /**
     * The progress of the consumer's last resume point: bytes released so far.
     */
    uint64_t released;
    /**
     * Blocks that wait for the consumer now.
     */
    uint64_t waiting_blocks;
    /**
     * The size of a block in bytes; 0 until the producer is ready.
     */
    uint64_t block_size;
    /**
     * The number of blocks; 0 until the producer is ready.
     */
    uint64_t blocks;
    /**
     * The phase: one of `blockpipe_phase`.
     */
    blockpipe_phase phase;
    /**
     * The process id of the producer, as it reported it; 0 if none has come yet.
     */
    uint32_t producer;
    /**
     * The process id of the consumer that holds the other end, as it reported it; 0 if there is none.
     */
    uint32_t consumer;
    /**
     * 1 if the producer is alive, 0 if it is not.
     */
    uint32_t producer_is_alive;
} blockpipe_state;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the protocol that this library speaks. Two processes can meet only if their versions are
 * equal, whether they use this library or the Rust crate; otherwise joining fails with BLOCKPIPE_OTHER_VERSION. Does
 * not block.
 */
uint32_t blockpipe_protocol_version(void);

/**
 * Returns a sentence about the last call on this thread that returned an error: the function, the pipe and its
 * directory, what failed, and the system's reason where there is one. Empty if no call has failed. Calls that do not
 * fail leave it as it is, so read it only after an error.
 *
 * The text is UTF-8. It belongs to the library and stays valid until the next call fails on this thread, or the thread
 * ends. Never NULL. Does not block.
 */
const char *blockpipe_last_message(void);

/**
 * Returns the text with which one end aborted the pipe, and stores its code, if the last call on this thread that
 * returned an error returned BLOCKPIPE_ABORTED. Otherwise returns NULL, and stores 0. `code` may be NULL.
 *
 * The text is valid as long as that of `blockpipe_last_message`. Does not block.
 */
const char *blockpipe_last_reason(uint32_t *code);

/**
 * Returns whether an end that has returned this result has ended: its seat is released, the peer learns of it, and
 * every later call returns BLOCKPIPE_OVER. Results from BLOCKPIPE_FORKED (-6) upwards do not end it. Does not block.
 */
bool blockpipe_is_final(int32_t result);

/**
 * Creates options for the pipe of this name: a string of any length that is not empty. The name is not a secret: every
 * process of the same user can join. Stores in `*options` an object that the caller frees with
 * `blockpipe_options_free`. Does not block.
 */
blockpipe_result blockpipe_options_new(const char *name,
                                       struct blockpipe_options **options);

/**
 * Sets the application's tag: bytes that both ends must match. Empty by default. Does not block.
 */
blockpipe_result blockpipe_options_set_tag(struct blockpipe_options *options, const void *tag, size_t length);

/**
 * Sets the size of a block in bytes and the number of blocks, for a producer that does not call `blockpipe_ready`. The
 * size is rounded up to a multiple of 4096; both are clamped to their limits (4 KiB to 1 GiB, 1 to 65,536 blocks). The
 * default is four blocks of 512 KiB, or, for the replacement of a dead producer, the same blocks as before. Does not
 * block.
 */
blockpipe_result blockpipe_options_set_blocks(struct blockpipe_options *options,
                                              size_t block_size,
                                              size_t blocks);

/**
 * Lets the two processes meet in this directory instead of the user's private one, so that two users, or two containers
 * that share the directory, can use a pipe. It must exist on a local file system, and should be in memory for speed.
 *
 * Anybody who can write to it can read and change the data of every pair there, impersonate either process, and crash
 * both. Not supported on Windows, where joining fails. Does not block.
 */
blockpipe_result blockpipe_options_set_directory(struct blockpipe_options *options,
                                                 const char *directory);

/**
 * Sets how many milliseconds this process waits for a peer before it gives up with BLOCKPIPE_NO_PEER. Only time without
 * a peer counts. A negative number, the default, means no limit. Does not block.
 */
blockpipe_result blockpipe_options_set_connect_timeout(struct blockpipe_options *options,
                                                       int64_t milliseconds);

/**
 * Keeps the seat and the blocks for up to this many milliseconds if the peer dies, so that another process can replace
 * it: the stream resumes after the last block that was sent or released. Only a process that also sets this can be the
 * replacement. By default a death ends the pipe. Does not block.
 */
blockpipe_result blockpipe_options_set_replace_within(struct blockpipe_options *options,
                                                      uint64_t milliseconds);

/**
 * Frees the options, and sets the caller's pointer to NULL. Does not block.
 */
void blockpipe_options_free(struct blockpipe_options **options);

/**
 * Takes one of the two ends: the producer for the first process, the consumer for the second. If only a consumer is
 * waiting, takes the producer. Stores the end in `*producer` or in `*consumer`, and NULL in the other; the caller frees
 * it with `blockpipe_producer_free` or `blockpipe_consumer_free`.
 *
 * A third process gets BLOCKPIPE_TOO_MANY_INSTANCES at once. Blocks only as a consumer, until the producer is ready,
 * however long that takes, or aborts; and for up to half a second while a pair is leaving.
 *
 * Errors: -20 to -25, BLOCKPIPE_ABORTED, BLOCKPIPE_CORRUPT, BLOCKPIPE_IO. They change nothing for other processes.
 */
blockpipe_result blockpipe_join(const struct blockpipe_options *options,
                                struct blockpipe_producer **producer,
                                struct blockpipe_consumer **consumer);

/**
 * Takes the producer, whether a consumer has come before or comes later, and stores it in `*producer`; the caller frees
 * it with `blockpipe_producer_free`. Blocks for up to half a second while a pair is leaving.
 *
 * Errors: as `blockpipe_join`.
 */
blockpipe_result blockpipe_join_as_producer(const struct blockpipe_options *options,
                                            struct blockpipe_producer **producer);

/**
 * Takes the consumer, whether a producer has come before or comes later, and stores it in `*consumer`; the caller frees
 * it with `blockpipe_consumer_free`. Blocks until a producer has come and is ready; while there is none, for up to the
 * connect timeout (BLOCKPIPE_NO_PEER).
 *
 * Errors: as `blockpipe_join`, and BLOCKPIPE_NO_PEER.
 */
blockpipe_result blockpipe_join_as_consumer(const struct blockpipe_options *options,
                                            struct blockpipe_consumer **consumer);

/**
 * Copies the hello of the dead producer that this end replaces to `buffer`, as many of its bytes as fit into
 * `capacity`, and stores its length in `*length` (which may be NULL). A replacement that cannot send the identical
 * stream must abort. Does not block.
 *
 * Returns BLOCKPIPE_NOTHING if this end replaces no dead producer.
 */
blockpipe_result blockpipe_producer_predecessor(struct blockpipe_producer *producer,
                                                void *buffer,
                                                size_t capacity,
                                                size_t *length);

/**
 * Reserves the memory and lets the consumer in. `hello` describes what will be sent, in at most BLOCKPIPE_MAX_HELLO
 * (1024) bytes; the consumer gets it from `blockpipe_consumer_peer_hello`. The size is rounded up to a multiple of
 * 4096. A replacement keeps its predecessor's hello and must use the same blocks (`blockpipe_producer_geometry`).
 *
 * Optional: without it, the first block makes the end ready, with the blocks of the options. Call it once the source is
 * open. Blocks until the system has provided the memory.
 *
 * Errors: BLOCKPIPE_CALL_FAILED if there is not enough space (try fewer blocks), BLOCKPIPE_OTHER_GEOMETRY,
 * BLOCKPIPE_MISUSE if the end is ready already or the hello is too long, -40 to -47, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_ready(struct blockpipe_producer *producer,
                                 size_t block_size,
                                 size_t blocks,
                                 const void *hello,
                                 size_t length);

/**
 * Stores the size of a block and the number of blocks, once the end is ready; before that, those of the dead producer
 * that it replaces. Either pointer may be NULL. Does not block.
 *
 * Returns BLOCKPIPE_NOTHING if they are not known yet.
 */
blockpipe_result blockpipe_producer_geometry(struct blockpipe_producer *producer,
                                             size_t *block_size,
                                             size_t *blocks);

/**
 * Waits for the consumer and stores in `*point` (32 bytes; may be NULL) where the stream begins: at zeros, or at the
 * point that the consumer passed to `blockpipe_begin`, or, for a replacement, after the last block of its predecessor.
 * Without this call the stream begins at zeros, and blocks may be filled before a consumer has come. Blocks until a
 * consumer has begun.
 *
 * Errors: BLOCKPIPE_MISUSE after the first block, BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED; those of
 * `blockpipe_ready`.
 */
blockpipe_result blockpipe_start(struct blockpipe_producer *producer,
                                 uint8_t *point);

/**
 * Copies the hello that the consumer passed to `blockpipe_begin` to `buffer`, as many bytes as fit into `capacity`, and
 * stores its length in `*length` (which may be NULL). Also works after an error has ended this end. Does not block.
 *
 * Returns BLOCKPIPE_NOTHING before a consumer has begun. Errors: BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_producer_peer_hello(struct blockpipe_producer *producer,
                                               void *buffer,
                                               size_t capacity,
                                               size_t *length);

/**
 * Stores the user id of the consumer's process, as the kernel reports it. The first call identifies the consumer. Call
 * it again before `blockpipe_close`: while that very process lives, it stores the same number. After that it fails
 * with BLOCKPIPE_PEER_DIED, no matter who holds the seat; or, if this end allows a replacement, it waits for one and
 * identifies it. Blocks for up to half a second while a consumer is joining.
 *
 * Returns BLOCKPIPE_NOTHING on Windows, and if this process's user namespace has no number for the user. (In this
 * user's own directory every peer is this user.) Errors: BLOCKPIPE_CALL_FAILED if the peer has not identified itself,
 * BLOCKPIPE_MISUSE if there is no consumer yet, -40 to -47, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_producer_peer_user(struct blockpipe_producer *producer,
                                              uint32_t *user);

/**
 * Stores the next empty block in `*block`; the caller sends it or frees it. Blocks for up to `timeout` milliseconds if
 * the consumer has not released one; a negative number (-1) waits without a limit, 0 never waits.
 *
 * Returns BLOCKPIPE_NOTHING if there is none within this time. Errors: BLOCKPIPE_MISUSE if the caller holds all blocks,
 * or after `blockpipe_close`; BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED; those of `blockpipe_ready`. With a
 * timeout of 0, a death is noticed once the calls have found nothing for 50 ms.
 */
blockpipe_result blockpipe_next_empty(struct blockpipe_producer *producer,
                                      int64_t timeout,
                                      struct blockpipe_empty_block **block);

/**
 * Sends the first `length` bytes of the block to the consumer. Consumes the block and sets `*block` to NULL, with
 * every result except BLOCKPIPE_NULL_ARGUMENT. Several blocks may be held and sent in any order; the consumer gets
 * them in the order in which they were handed out. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE if `length` is larger than the block, or the block belongs to another end (it then counts as
 * freed); BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_send(struct blockpipe_producer *producer,
                                struct blockpipe_empty_block **block,
                                size_t length);

/**
 * Sends the block like `blockpipe_send`, and stores where a replacement of this end has to resume after it:
 * BLOCKPIPE_POINT_LENGTH (32) bytes in the application's own terms, of which the first eight are the progress in bytes
 * that observers see. The replacement gets them from `blockpipe_start`. Without such a point, the previous one is kept,
 * and its progress advances by `length`. Does not block.
 */
blockpipe_result blockpipe_send_with(struct blockpipe_producer *producer,
                                     struct blockpipe_empty_block **block,
                                     size_t length,
                                     const uint8_t *point);

/**
 * Checks that this end can continue. A caller that waits for something else should call this about every 50 ms. Does
 * not block.
 *
 * Errors: BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_producer_check(struct blockpipe_producer *producer);

/**
 * Ends the stream and waits for the consumer: BLOCKPIPE_OK means that both ends are complete. Blocks until the consumer
 * has decided, however long its work takes. After BLOCKPIPE_CANCELED another call continues to wait.
 *
 * Errors: BLOCKPIPE_MISUSE while a block is held, or if a block was freed unsent while later ones were sent;
 * BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_producer_finish(struct blockpipe_producer *producer);

/**
 * Ends the stream like `blockpipe_producer_finish`, with a trailer for the consumer: at most BLOCKPIPE_TRAILER_LENGTH
 * (64) bytes, padded with zeros. Blocks until the consumer has decided.
 *
 * Errors: also BLOCKPIPE_MISUSE if the trailer is too long.
 */
blockpipe_result blockpipe_close(struct blockpipe_producer *producer,
                                 const void *trailer,
                                 size_t length);

/**
 * Stores the remark that the consumer left with `blockpipe_set_remark`, once `blockpipe_close` or
 * `blockpipe_producer_finish` has succeeded: its code, or 0 if there is none, and its text, truncated to `capacity`
 * bytes with a zero at the end. Any pointer may be NULL. Does not block.
 */
blockpipe_result blockpipe_remark(struct blockpipe_producer *producer,
                                  uint32_t *code,
                                  char *text,
                                  size_t capacity);

/**
 * Aborts the pipe with a code and a text (UTF-8; NULL means an empty one) that the consumer receives, and returns the
 * verdict: BLOCKPIPE_ABORTED, by whichever end aborted first (`blockpipe_last_reason`); or BLOCKPIPE_OK if the consumer
 * had completed already. Blocks only while the consumer is committing.
 */
blockpipe_result blockpipe_producer_abort(struct blockpipe_producer *producer,
                                          uint32_t code,
                                          const char *text);

/**
 * Stores in `*canceller` a handle with which another thread can end a wait of this end; the caller frees it with
 * `blockpipe_canceller_free`. Does not block.
 */
blockpipe_result blockpipe_producer_canceller(struct blockpipe_producer *producer,
                                              struct blockpipe_canceller **canceller);

#if !defined(_WIN32)
/**
 * Stores a file descriptor for `poll` or `epoll`: it is readable while `blockpipe_next_empty` with a timeout of 0 may
 * find something. After that call has returned BLOCKPIPE_NOTHING, it is not readable until there is an empty block, the
 * pipe has ended, or the peer has died. A thread of the library waits for that.
 *
 * The descriptor belongs to the end: do not read or close it, and do not use it after the end is freed. Do not mix it
 * with calls that wait: either might then be woken 50 ms late. Not on Windows. Does not block.
 *
 * Errors: BLOCKPIPE_CALL_FAILED, BLOCKPIPE_OVER, BLOCKPIPE_FORKED; those of `blockpipe_ready`.
 */
blockpipe_result blockpipe_producer_descriptor(struct blockpipe_producer *producer,
                                               int *descriptor);
#endif

/**
 * Gives the end up, frees it, and sets the caller's pointer to NULL. Without a verdict this is like being killed: the
 * consumer reports that its peer died. If blocks of the end are still held, the pipe is aborted instead. Blocks for up
 * to half a second.
 */
void blockpipe_producer_free(struct blockpipe_producer **producer);

/**
 * Copies the hello of the dead consumer that this end replaces to `buffer`, as many of its bytes as fit into
 * `capacity`, and stores its length in `*length` (which may be NULL). A replacement that cannot continue with exactly
 * that target must abort. Does not block.
 *
 * Returns BLOCKPIPE_NOTHING if this end replaces no dead consumer.
 */
blockpipe_result blockpipe_consumer_predecessor(struct blockpipe_consumer *consumer,
                                                void *buffer,
                                                size_t capacity,
                                                size_t *length);

/**
 * Returns whether the dead predecessor had called `blockpipe_commit`, so that its result may be final already. Returns
 * false if `consumer` is NULL. Does not block.
 */
bool blockpipe_predecessor_was_committing(struct blockpipe_consumer *consumer);

/**
 * Copies the hello that the producer passed to `blockpipe_ready` to `buffer`, as many bytes as fit into `capacity`,
 * and stores its length in `*length` (which may be NULL). Does not block.
 */
blockpipe_result blockpipe_consumer_peer_hello(struct blockpipe_consumer *consumer,
                                               void *buffer,
                                               size_t capacity,
                                               size_t *length);

/**
 * Stores the user id of the producer's process, as the kernel reports it. The first call identifies the producer. Call
 * it again before `blockpipe_commit`: while that very process lives, it stores the same number. After that it fails
 * with BLOCKPIPE_PEER_DIED, no matter who holds the seat; or, if this end allows a replacement, it waits for one and
 * identifies it. Blocks for up to half a second while a producer is joining.
 *
 * Returns BLOCKPIPE_NOTHING on Windows, and if this process's user namespace has no number for the user. (In this
 * user's own directory every peer is this user.) Errors: BLOCKPIPE_CALL_FAILED if the peer has not identified itself,
 * -40 to -47, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_consumer_peer_user(struct blockpipe_consumer *consumer,
                                              uint32_t *user);

/**
 * Stores the size of a block and the number of blocks that the producer has chosen. Either pointer may be NULL. Does
 * not block.
 */
blockpipe_result blockpipe_consumer_geometry(struct blockpipe_consumer *consumer,
                                             size_t *block_size,
                                             size_t *blocks);

/**
 * Declares what this end works on, before it changes anything, and where the stream should begin. `hello` has at most
 * BLOCKPIPE_MAX_HELLO (1024) bytes; the producer gets it from `blockpipe_producer_peer_hello`. `at` is 32 bytes, or
 * NULL for zeros; a producer that does not call `blockpipe_start` ignores it. Stores in `*point` (32 bytes; may be
 * NULL) where the stream does begin: at `at`, or, for a replacement, after the last block that was released. Does not
 * block.
 *
 * Optional: without it, the first block begins with an empty hello and zeros. Once it is called, the death of this end
 * ends the pipe or requires a replacement; until then, the producer just waits for another consumer.
 *
 * Errors: BLOCKPIPE_MISUSE if called a second time, or if the hello is too long; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER,
 * BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_begin(struct blockpipe_consumer *consumer,
                                 const void *hello,
                                 size_t length,
                                 const uint8_t *at,
                                 uint8_t *point);

/**
 * Stores the next filled block in `*block`; the caller releases it or frees it. Blocks for up to `timeout` milliseconds
 * if the producer has not sent one; a negative number (-1) waits without a limit, 0 never waits.
 *
 * Returns BLOCKPIPE_END after the last block, and BLOCKPIPE_NOTHING if there is none within this time. Errors:
 * BLOCKPIPE_MISUSE if the caller holds all blocks, or if the same block was freed twice in a row; BLOCKPIPE_CANCELED,
 * -40 to -47, BLOCKPIPE_FORKED. With a timeout of 0, a death is noticed once the calls have found nothing for 50 ms.
 */
blockpipe_result blockpipe_next_filled(struct blockpipe_consumer *consumer,
                                       int64_t timeout,
                                       struct blockpipe_filled_block **block);

/**
 * Releases the block to the producer once its bytes have been processed. Consumes the block and sets `*block` to NULL,
 * with every result except BLOCKPIPE_NULL_ARGUMENT. Several blocks may be held and released in any order; the producer
 * gets them back in the order of the stream. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE if the block belongs to another end (it then counts as freed); BLOCKPIPE_OVER,
 * BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_release(struct blockpipe_consumer *consumer,
                                   struct blockpipe_filled_block **block);

/**
 * Releases the block like `blockpipe_release`, and stores where a replacement of this end has to resume after it:
 * BLOCKPIPE_POINT_LENGTH (32) bytes, of which the first eight are the progress in bytes that observers see. The
 * replacement gets them from `blockpipe_begin`. Without such a point, the previous one is kept, and its progress
 * advances by the block's length. Does not block.
 */
blockpipe_result blockpipe_release_with(struct blockpipe_consumer *consumer,
                                        struct blockpipe_filled_block **block,
                                        const uint8_t *point);

/**
 * Releases all filled blocks except for the newest one without handing them out, and stores their number in `*skipped`
 * (which may be NULL). For a live stream, of which only the latest block matters. If the producer drops blocks while all
 * are full, the newest one may be old: see `blockpipe_skip_all`. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE while a block is held; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_skip_to_latest(struct blockpipe_consumer *consumer,
                                          uint64_t *skipped);

/**
 * Releases all filled blocks without handing them out, so that the next one is sent after this call, and stores their
 * number in `*skipped` (which may be NULL). It may include the last block of the stream. Does not block.
 *
 * Errors: as `blockpipe_skip_to_latest`.
 */
blockpipe_result blockpipe_skip_all(struct blockpipe_consumer *consumer,
                                    uint64_t *skipped);

/**
 * Checks that this end can continue. A caller that waits for something else should call this about every 50 ms. It is
 * no error if the producer died after it had closed the stream. Does not block.
 *
 * Errors: BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_consumer_check(struct blockpipe_consumer *consumer);

/**
 * Copies the producer's trailer to `trailer`: BLOCKPIPE_TRAILER_LENGTH (64) bytes, padded with zeros.
 * Does not block.
 *
 * Returns BLOCKPIPE_NOTHING until `blockpipe_next_filled` has returned BLOCKPIPE_END.
 */
blockpipe_result blockpipe_trailer(struct blockpipe_consumer *consumer, uint8_t *trailer);

/**
 * Declares that everything has been processed, which makes both ends complete. If a separate step makes the result
 * final (a rename, a reply), use `blockpipe_commit`. Blocks until the producer has closed the stream.
 *
 * Errors: BLOCKPIPE_MISUSE while a block is held, and if there is another one for `blockpipe_next_filled`;
 * BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_consumer_finish(struct blockpipe_consumer *consumer);

/**
 * Announces that the result is about to become final (a rename, a reply). After this the producer can no longer abort,
 * and only `blockpipe_complete` or `blockpipe_consumer_abort` end the pipe. If this end is freed or its process killed
 * before that, the producer gets BLOCKPIPE_DIED_COMMITTING. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE before BLOCKPIPE_END, and while a block is held; BLOCKPIPE_ABORTED if the producer aborted
 * first; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_commit(struct blockpipe_consumer *consumer);

/**
 * Leaves the producer a remark with a code and a text (UTF-8; NULL means an empty one), to read after completion with
 * `blockpipe_remark`. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE unless `blockpipe_commit` was called; BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_set_remark(struct blockpipe_consumer *consumer,
                                      uint32_t code,
                                      const char *text);

/**
 * Declares the result final, which makes both ends complete. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE unless `blockpipe_commit` was called; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_complete(struct blockpipe_consumer *consumer);

/**
 * Aborts the pipe with a code and a text (UTF-8; NULL means an empty one) that the producer receives, before or after
 * `blockpipe_commit`, and returns the verdict: BLOCKPIPE_ABORTED, by whichever end aborted first
 * (`blockpipe_last_reason`). Does not block.
 *
 * Other results: BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_consumer_abort(struct blockpipe_consumer *consumer,
                                          uint32_t code,
                                          const char *text);

/**
 * Stores in `*canceller` a handle with which another thread can end a wait of this end; the caller frees it with
 * `blockpipe_canceller_free`. Does not block.
 */
blockpipe_result blockpipe_consumer_canceller(struct blockpipe_consumer *consumer,
                                              struct blockpipe_canceller **canceller);

#if !defined(_WIN32)
/**
 * Stores a file descriptor for `poll` or `epoll`: it is readable while `blockpipe_next_filled` with a timeout of 0 may
 * find something. After that call has returned BLOCKPIPE_NOTHING, it is not readable until there is a filled block, the
 * stream or the pipe has ended, or the peer has died. A thread of the library waits for that.
 *
 * The descriptor belongs to the end: do not read or close it, and do not use it after the end is freed. Do not mix it
 * with calls that wait: either might then be woken 50 ms late. Not on Windows. Does not block.
 *
 * Errors: BLOCKPIPE_CALL_FAILED, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_consumer_descriptor(struct blockpipe_consumer *consumer,
                                               int *descriptor);
#endif

/**
 * Gives the end up, frees it, and sets the caller's pointer to NULL. Without a verdict this is like being killed: the
 * producer reports that its peer died. If blocks of the end are still held, the pipe is aborted instead. Blocks for up
 * to half a second.
 */
void blockpipe_consumer_free(struct blockpipe_consumer **consumer);

/**
 * Returns the address of the first byte, a multiple of 4096. It is valid until the block is sent or freed. Returns
 * NULL in a forked child, which does not have this memory, and if `block` is NULL. Does not block.
 */
void *blockpipe_empty_block_data(struct blockpipe_empty_block *block);

/**
 * Returns the number of bytes that fit into the block; 0 if `block` is NULL. Does not block.
 */
size_t blockpipe_empty_block_capacity(const struct blockpipe_empty_block *block);

/**
 * Returns the number of the block in the stream, from 0; 0 if `block` is NULL. Does not block.
 */
uint64_t blockpipe_empty_block_number(const struct blockpipe_empty_block *block);

/**
 * Sets the block's header, which the consumer gets with the block: at most BLOCKPIPE_HEADER_LENGTH (40) bytes, padded
 * with zeros. Without this call, the header is all zeros. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE if there are more bytes.
 */
blockpipe_result blockpipe_empty_block_set_header(struct blockpipe_empty_block *block,
                                                  const void *header,
                                                  size_t length);

/**
 * Frees a block that will not be sent, and sets the caller's pointer to NULL. The producer keeps the block, and
 * `blockpipe_next_empty` hands it out again. Does not block.
 */
void blockpipe_empty_block_free(struct blockpipe_empty_block **block);

/**
 * Returns the address of the first byte, a multiple of 4096. It is valid until the block is released or freed.
 * Returns NULL in a forked child, which does not have this memory, and if `block` is NULL. Does not block.
 */
const void *blockpipe_filled_block_data(const struct blockpipe_filled_block *block);

/**
 * Returns the number of bytes that were sent; 0 if `block` is NULL. Does not block.
 */
size_t blockpipe_filled_block_length(const struct blockpipe_filled_block *block);

/**
 * Returns the number of the block in the stream, from 0; 0 if `block` is NULL. Does not block.
 */
uint64_t blockpipe_filled_block_number(const struct blockpipe_filled_block *block);

/**
 * Copies the first `length` bytes of the block's header, at most BLOCKPIPE_HEADER_LENGTH (40), to `header`. They are
 * the bytes that the producer set, padded with zeros. Does not block.
 *
 * Errors: BLOCKPIPE_MISUSE if `length` is larger than that, BLOCKPIPE_FORKED.
 */
blockpipe_result blockpipe_filled_block_header(const struct blockpipe_filled_block *block,
                                               void *header,
                                               size_t length);

/**
 * Frees a block that has not been processed, and sets the caller's pointer to NULL. `blockpipe_next_filled` hands it
 * out again. Does not block.
 */
void blockpipe_filled_block_free(struct blockpipe_filled_block **block);

/**
 * Ends the end's current wait with BLOCKPIPE_CANCELED, or its next wait if there is none now. Nothing else changes: the
 * end can be used as before. Does nothing once the end is freed. Does not block.
 */
blockpipe_result blockpipe_cancel(const struct blockpipe_canceller *canceller);

/**
 * Frees the canceller, and sets the caller's pointer to NULL. Does not block.
 */
void blockpipe_canceller_free(struct blockpipe_canceller **canceller);

/**
 * Stores the state of the pipe of this name in `*state` without joining the pipe. The caller passes the `size` of the
 * structure (`sizeof *state`), so that programs and libraries of different versions work together: fields that this
 * library does not know are set to zero. The tag is ignored. Does not block.
 *
 * Returns BLOCKPIPE_NOTHING if there is no such pipe. If neither process is alive, a killed pair left it. Errors:
 * BLOCKPIPE_OTHER_VERSION, BLOCKPIPE_FOREIGN, BLOCKPIPE_IO.
 */
blockpipe_result blockpipe_inspect(const struct blockpipe_options *options,
                                   struct blockpipe_state *state,
                                   size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BLOCKPIPE_H */
