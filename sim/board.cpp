// A Verilated board whose serial line is driven bit by bit, between a file descriptor and its pins.
//
// The UART here is written for itself, from the line's definition: a start bit, eight data bits from the lowest, a stop bit,
// each of `bit_cycles` clock cycles, which need not be a whole number. sim/board.py is the other side of this interface.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include <poll.h>
#include <unistd.h>
#include <verilated.h>

#include "Vtop.h"

#define SVPG_API extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kFrameBits = 10;
constexpr int kRestBits = 40;        // a board whose line has rested for so long and is not busy waits for its host
constexpr std::size_t kMost = 4096;  // bytes that wait in either direction, as in a port; what is more is lost
constexpr int kPollMilliseconds = 20;

struct Board {
    VerilatedContext context;
    std::unique_ptr<Vtop> top;
    double bit_cycles;
    uint64_t cycles = 0, worked = 0;
    std::deque<uint8_t> to_board, from_board;

    // The line to the board: bits of the byte on it, and cycles since its start bit.
    uint32_t sends = 0;
    double sent_for = -1;
    // The line from the board.
    uint32_t receives = 0;
    int received_bits = 0;
    double received_for = -1;
    uint64_t rested_for = 0;

    explicit Board(double cycles_of_a_bit) : bit_cycles(cycles_of_a_bit) {
        top = std::make_unique<Vtop>(&context, "top");
        top->clk = 0;
        top->rx = 1;
        for (const int in_reset : {1, 1, 0, 0}) {
            top->rst = in_reset;
            clock();
        }
    }
    ~Board() { top->final(); }

    void clock() {
        top->clk = 0;
        top->eval();
        top->clk = 1;
        top->eval();
        ++cycles;
    }

    bool idle() const { return sent_for < 0 && to_board.empty() && !top->busy && rested_for > 0; }

    void drive() {
        const double whole = kFrameBits * bit_cycles;
        if (sent_for >= whole) {
            // The part of a cycle that a byte has ended earlier is the next one's.
            sent_for = to_board.empty() ? -1 : sent_for - whole;
            if (sent_for >= 0) begin();
        } else if (sent_for < 0 && !to_board.empty()) {
            sent_for = 0;
            begin();
        }
        top->rx = sent_for < 0 || ((sends >> static_cast<int>(sent_for / bit_cycles)) & 1);
        if (sent_for >= 0) sent_for += 1;
    }
    void begin() {
        sends = (1u << (kFrameBits - 1)) | (uint32_t{to_board.front()} << 1);
        to_board.pop_front();
    }

    void watch() {
        if (received_for < 0) {
            if (top->tx) {
                ++rested_for;
                return;
            }
            received_for = 0;
            received_bits = 0;
            receives = 0;
        }
        rested_for = 0;
        received_for += 1;
        if (received_for < (received_bits + 0.5) * bit_cycles) return;
        receives |= uint32_t{top->tx} << received_bits;
        if (++received_bits < kFrameBits) return;
        // A start bit that is high or a stop bit that is low is no byte.
        if (!(receives & 1) && receives >> (kFrameBits - 1) && from_board.size() < kMost) {
            from_board.push_back(static_cast<uint8_t>(receives >> 1));
        }
        received_for = -1;
    }

    void step() {
        drive();
        clock();
        watch();
        worked += !idle();
    }

    bool rests() const {
        return idle() && rested_for > kRestBits * bit_cycles;
    }
};

// Move what waits between the board and the descriptor, which does not block.
void pass(Board& board, int port) {
    uint8_t buffer[kMost];
    if (board.to_board.size() < kMost) {
        const ssize_t count = read(port, buffer, kMost - board.to_board.size());
        for (ssize_t i = 0; i < count; ++i) board.to_board.push_back(buffer[i]);
    }
    std::size_t ready = 0;
    for (const uint8_t byte : board.from_board) buffer[ready++] = byte;
    if (ready == 0) return;
    const ssize_t count = write(port, buffer, ready);
    if (count > 0) board.from_board.erase(board.from_board.begin(), board.from_board.begin() + count);
}

}  // namespace

SVPG_API void* svpg_board_open(double bit_cycles) { return new Board(bit_cycles); }

SVPG_API void svpg_board_close(void* handle) { delete static_cast<Board*>(handle); }

SVPG_API uint64_t svpg_board_cycles(void* handle) { return static_cast<Board*>(handle)->cycles; }

// Clock cycles in which the core or the line had something to do.
SVPG_API uint64_t svpg_board_worked(void* handle) { return static_cast<Board*>(handle)->worked; }

// The lights: alive, busy, error from the lowest bit.
SVPG_API uint32_t svpg_board_lights(void* handle) {
    const Vtop& top = *static_cast<Board*>(handle)->top;
    return uint32_t{top.alive} | uint32_t{top.busy} << 1 | uint32_t{top.error} << 2;
}

// Run until `stop` is set. A board that has nothing to do stands still until its host sends.
SVPG_API void svpg_board_run(void* handle, int32_t port, const volatile int32_t* stop) {
    Board& board = *static_cast<Board*>(handle);
    const auto turn = static_cast<uint64_t>(kFrameBits * board.bit_cycles);
    while (!*stop) {
        pass(board, port);
        if (board.rests() && board.from_board.empty()) {
            pollfd descriptor{port, POLLIN, 0};
            poll(&descriptor, 1, kPollMilliseconds);
        } else {
            for (uint64_t i = 0; i < turn; ++i) board.step();
        }
    }
}
