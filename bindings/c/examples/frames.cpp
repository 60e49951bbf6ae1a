// The same program as frames.c, with a small wrapper that owns the objects and turns errors into exceptions.
#include <blockpipe.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace blockpipe {

// Frees an object of the library.
template <typename T, void (*free)(T **)>
struct Free {
    void operator()(T *object) const noexcept { free(&object); }
};
template <typename T, void (*free)(T **)>
using Owned = std::unique_ptr<T, Free<T, free>>;

using Options = Owned<blockpipe_options, blockpipe_options_free>;
using Producer = Owned<blockpipe_producer, blockpipe_producer_free>;
using Consumer = Owned<blockpipe_consumer, blockpipe_consumer_free>;
using EmptyBlock = Owned<blockpipe_empty_block, blockpipe_empty_block_free>;
using FilledBlock = Owned<blockpipe_filled_block, blockpipe_filled_block_free>;

struct Error : std::runtime_error {
    explicit Error(blockpipe_result code) : std::runtime_error(blockpipe_last_message()), code(code) {}
    blockpipe_result code;
};

inline blockpipe_result check(blockpipe_result result) {
    if (result < 0) throw Error(result);
    return result;
}

// Calls `function(arguments..., &object)`. The object is empty if the call has found nothing.
template <typename Owner, typename Function, typename... Arguments>
Owner get(Function function, Arguments... arguments) {
    typename Owner::pointer object = nullptr;
    check(function(arguments..., &object));
    return Owner(object);
}

// Calls `function(end, &block, arguments...)`, which consumes the block.
template <typename End, typename Block, typename Function, typename... Arguments>
void give(Function function, const End &end, Block block, Arguments... arguments) {
    auto *pointer = block.release();
    check(function(end.get(), &pointer, arguments...));
}

}  // namespace blockpipe

using blockpipe::check;

namespace {

constexpr std::size_t frame_size = 65536;

struct FrameHeader {
    std::uint64_t number;
    std::uint64_t nanoseconds;
};

struct Point {
    std::uint64_t bytes, next, frames, unused;
    std::uint8_t *data() { return reinterpret_cast<std::uint8_t *>(this); }
};
static_assert(sizeof(Point) == BLOCKPIPE_POINT_LENGTH);

void send(const blockpipe_options *options, std::uint64_t count, std::chrono::milliseconds period) {
    auto producer = blockpipe::get<blockpipe::Producer>(blockpipe_join_as_producer, options);
    Point point{};
    check(blockpipe_start(producer.get(), point.data()));
    std::fprintf(stderr, "sending from frame %llu\n", static_cast<unsigned long long>(point.next));
    for (auto number = point.next; number < count; number++) {
        std::this_thread::sleep_for(period);
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        auto block = blockpipe::get<blockpipe::EmptyBlock>(blockpipe_next_empty, producer.get(), 0);
        if (!block) continue;  // The receiver is slow: drop this frame.
        const FrameHeader header{number, static_cast<std::uint64_t>(now / std::chrono::nanoseconds(1))};
        std::memset(blockpipe_empty_block_data(block.get()), static_cast<int>(number & 0xff), frame_size);
        check(blockpipe_empty_block_set_header(block.get(), &header, sizeof header));
        point = {point.bytes + frame_size, number + 1, point.frames + 1, 0};
        blockpipe::give(blockpipe_send_with, producer, std::move(block), frame_size, point.data());
    }
    check(blockpipe_close(producer.get(), &point.frames, sizeof point.frames));
    std::printf("sent %llu of %llu\n", static_cast<unsigned long long>(point.frames),
                static_cast<unsigned long long>(count));
}

void receive(const blockpipe_options *options, std::chrono::milliseconds time) {
    auto consumer = blockpipe::get<blockpipe::Consumer>(blockpipe_join_as_consumer, options);
    Point point{};
    check(blockpipe_begin(consumer.get(), nullptr, 0, nullptr, point.data()));
    std::fprintf(stderr, "receiving from frame %llu\n", static_cast<unsigned long long>(point.next));
    while (auto block = blockpipe::get<blockpipe::FilledBlock>(blockpipe_next_filled, consumer.get(), -1)) {
        FrameHeader header{};
        check(blockpipe_filled_block_header(block.get(), &header, sizeof header));
        const auto *data = static_cast<const unsigned char *>(blockpipe_filled_block_data(block.get()));
        const auto length = blockpipe_filled_block_length(block.get());
        if (length != frame_size || header.number < point.next || data[length - 1] != (header.number & 0xff)) {
            check(blockpipe_consumer_abort(consumer.get(), 1, "this is not the next frame"));
        }
        std::this_thread::sleep_for(time);  // Here a program would use the frame.
        point = {point.bytes + length, header.number + 1, point.frames + 1, 0};
        blockpipe::give(blockpipe_release_with, consumer, std::move(block), point.data());
    }
    std::uint64_t trailer[BLOCKPIPE_TRAILER_LENGTH / sizeof(std::uint64_t)];
    check(blockpipe_trailer(consumer.get(), reinterpret_cast<std::uint8_t *>(trailer)));
    if (trailer[0] != point.frames) check(blockpipe_consumer_abort(consumer.get(), 2, "frames are missing"));
    check(blockpipe_consumer_finish(consumer.get()));
    std::printf("received %llu\n", static_cast<unsigned long long>(point.frames));
}

}  // namespace

int main(int argc, char **argv) try {
    const std::string command = argc > 1 ? argv[1] : "";
    const bool sends = command == "send" && argc == 5;
    if (!sends && !(command == "receive" && argc == 4)) {
        std::fputs("usage: frames send NAME COUNT PERIOD | frames receive NAME TIME\n", stderr);
        return 2;
    }
    auto options = blockpipe::get<blockpipe::Options>(blockpipe_options_new, argv[2]);
    check(blockpipe_options_set_tag(options.get(), "frames", 6));
    check(blockpipe_options_set_blocks(options.get(), frame_size, 4));
    check(blockpipe_options_set_connect_timeout(options.get(), 10000));
    check(blockpipe_options_set_replace_within(options.get(), 10000));
    if (sends) {
        send(options.get(), std::stoull(argv[3]), std::chrono::milliseconds(std::stol(argv[4])));
    } else {
        receive(options.get(), std::chrono::milliseconds(std::stol(argv[3])));
    }
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "frames: %s\n", error.what());
    return 1;
}
