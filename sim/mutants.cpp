// The harness for a model that holds many mutants (sim/mutation.py): which of them is at work, and whether it shows.

#include "harness.cpp"

// Put a mutant to work, 0 for none.
SVPG_API void svpg_select(void* handle, uint32_t number) { static_cast<Model*>(handle)->top->mutant = number; }

// Whether the selected mutant has changed its bit in any cycle so far.
SVPG_API int32_t svpg_excited(void* handle) { return static_cast<Model*>(handle)->top->excited; }
