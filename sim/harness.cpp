// A Verilated model with the streams `commands` and `responses`, driven word by word without leaving C++.
//
// Each cycle: inputs change while the clock is low, the handshakes are looked at, the clock rises. An instance is an
// object of its own, so several run side by side, one thread each. sim/model.py is the other side of this interface.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <verilated.h>

#include "Vtop.h"
#ifdef SVPG_WAVES
#include <verilated_fst_c.h>
#endif
#if VM_COVERAGE
#include <verilated_cov.h>
#endif

// The compiler's own, in a model that notes which ways it goes.
extern "C" void __gcov_dump(void) __attribute__((weak));

#define SVPG_API extern "C" __attribute__((visibility("default")))

namespace {

constexpr uint32_t kLast = 1u << 16;  // golden.protocol.LAST

// Why an exchange ended; sim.model.End.
enum End : int32_t { kDone = 0, kCut = 1, kStuck = 2, kSurplus = 3, kWithdrawn = 4, kChanged = 5 };

// SplitMix64: small, seeded, the same everywhere.
struct Random {
    uint64_t state;
    uint64_t next() {
        uint64_t z = (state += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t bound) { return next() % bound; }
};

// Whether a side of a stream is willing in a cycle: always, or in phases of 20 to 200 cycles always, half the time, seldom.
struct Flow {
    Random random;
    bool ragged;
    uint32_t left = 0;
    uint32_t share = 0;  // of 256
    bool willing() {
        if (!ragged) return true;
        if (left == 0) {
            static constexpr uint32_t kShares[] = {256, 256, 128, 26};
            share = kShares[random.below(4)];
            left = 20 + random.below(180);
        }
        --left;
        return random.below(256) < share;
    }
};

struct Model {
    VerilatedContext context;
    std::unique_ptr<Vtop> top;
    uint64_t cycles = 0;
    std::vector<uint32_t> received;
#ifdef SVPG_WAVES
    std::unique_ptr<VerilatedFstC> waves;
#endif

    Model() {
#ifdef SVPG_WAVES
        context.traceEverOn(true);
#endif
        top = std::make_unique<Vtop>(&context, "top");
        top->clk = 0;
        top->rst = 0;
        top->commands___05Fvalid = 0;
        top->commands___05Fpayload = 0;
        top->responses___05Fready = 0;
        low();
    }
    ~Model() {
#ifdef SVPG_WAVES
        if (waves) waves->close();
#endif
        top->final();
    }

    // Two time units are a cycle: the clock is low from 2n on and high from 2n + 1 on.
    void low() {
        top->clk = 0;
        top->eval();
        dump(2 * cycles);
    }
    void high() {
        top->clk = 1;
        top->eval();
        dump(2 * cycles + 1);
        ++cycles;
    }
    void dump(uint64_t time) {
#ifdef SVPG_WAVES
        if (waves) waves->dump(time);
#else
        (void)time;
#endif
    }
};

}  // namespace

struct SvpgResult {
    uint64_t taken;   // words of the command stream that were taken
    uint64_t words;   // words that came
    uint64_t frames;  // frames that came whole
};

SVPG_API void* svpg_open() { return new Model; }

SVPG_API void svpg_close(void* handle) { delete static_cast<Model*>(handle); }

SVPG_API uint64_t svpg_cycles(void* handle) { return static_cast<Model*>(handle)->cycles; }

// Some cycles in which nothing is offered or taken: the first are a reset, which reaches the design a cycle later.
SVPG_API void svpg_reset(void* handle) {
    Model& model = *static_cast<Model*>(handle);
    model.top->commands___05Fvalid = 0;
    model.top->responses___05Fready = 0;
    for (const int in_reset : {1, 1, 0, 0}) {
        model.top->rst = in_reset;
        model.low();
        model.high();
    }
    model.low();
}

// Send `count` words and take responses until all are sent and `frames` frames have come, or `limit` cycles are over, or
// `patience` cycles have passed in which no word moved. With `ragged`, words are offered and taken at random times.
SVPG_API int32_t svpg_exchange(void* handle, const uint32_t* words, uint64_t count, uint64_t frames, uint64_t limit,
                               uint64_t patience, uint64_t seed, int32_t ragged, SvpgResult* result) {
    Model& model = *static_cast<Model*>(handle);
    Vtop& top = *model.top;
    Random random{seed};
    Flow sending{{random.next()}, ragged != 0};
    Flow taking{{random.next()}, ragged != 0};
    model.received.clear();
    uint64_t sent = 0, came = 0, idle = 0;
    bool offering = false, held = false;
    uint32_t holds = 0;
    End end = kDone;
    const uint64_t stop = limit ? model.cycles + limit : UINT64_MAX;

    while (sent < count || came < frames) {
        if (model.cycles == stop) {
            end = kCut;
            break;
        }
        if (idle == patience) {
            end = kStuck;
            break;
        }
        offering = sent < count && (offering || sending.willing());
        top.commands___05Fvalid = offering;
        // What lies on the stream while nothing is offered must not matter.
        top.commands___05Fpayload = offering ? words[sent] : ragged ? random.next() & (2 * kLast - 1) : 0;
        const bool ready = taking.willing();
        top.responses___05Fready = ready;
        model.low();
        ++idle;
        if (offering && top.commands___05Fready) {
            ++sent;
            offering = false;
            idle = 0;
        }
        if (top.responses___05Fvalid) {
            const uint32_t word = top.responses___05Fpayload;
            if (held && word != holds) {
                end = kChanged;
                break;
            }
            held = !ready;
            holds = word;
            if (ready) {
                if (came == frames) {
                    end = kSurplus;
                    break;
                }
                model.received.push_back(word);
                came += (word & kLast) != 0;
                idle = 0;
            }
        } else if (held) {
            end = kWithdrawn;
            break;
        }
        model.high();
    }
    top.commands___05Fvalid = 0;
    top.responses___05Fready = 0;
    model.low();
    *result = {sent, model.received.size(), came};
    return end;
}

// Copy the words that the last exchange brought.
SVPG_API void svpg_received(void* handle, uint32_t* out) {
    const std::vector<uint32_t>& words = static_cast<Model*>(handle)->received;
    if (!words.empty()) std::memcpy(out, words.data(), words.size() * sizeof(uint32_t));
}

// Begin to record all signals into a file; 0 where the model was compiled without.
SVPG_API int32_t svpg_waves_open(void* handle, const char* path) {
#ifdef SVPG_WAVES
    Model& model = *static_cast<Model*>(handle);
    model.waves = std::make_unique<VerilatedFstC>();
    model.top->trace(model.waves.get(), 99);
    model.waves->open(path);
    return 1;
#else
    (void)handle;
    (void)path;
    return 0;
#endif
}

// End the recording.
SVPG_API void svpg_waves_close(void* handle) {
#ifdef SVPG_WAVES
    Model& model = *static_cast<Model*>(handle);
    if (model.waves) model.waves->close();
    model.waves.reset();
#else
    (void)handle;
#endif
}

// Write down which ways the code went, in a model compiled for it.
SVPG_API void svpg_write_profile() {
    if (__gcov_dump) __gcov_dump();
}

// Write which lines were reached and which bits have changed; 0 where the model was compiled without counting.
SVPG_API int32_t svpg_write_coverage(void* handle, const char* path) {
#if VM_COVERAGE
    static_cast<Model*>(handle)->context.coveragep()->write(path);
    return 1;
#else
    (void)handle;
    (void)path;
    return 0;
#endif
}
