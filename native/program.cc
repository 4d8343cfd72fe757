#include "program.h"

#include "arguments.h"
#include "interruptible.h"

namespace flocker {

namespace {

/** channelProgram(pool, program, sync, instructions, memory, arguments); the list is what it returned, or its error */
Napi::Value ChannelProgram(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0), program = arguments.Text(1);
  bool sync = arguments.Flag(2);
  uint64_t instructions = arguments.BigInt(3), memory = arguments.BigInt(4);
  Packed packed = arguments.List(5);
  if (!arguments.ok()) return {};
  return CallInterruptible(info, [=](const Library& library, Outcome& outcome) {
    auto run = sync ? library.lzc_channel_program : library.lzc_channel_program_nosync;
    if (!Has(run, outcome)) return;
    Nvlist input(library), output(library);
    if ((outcome.error = input.Unpack(packed)) != 0) return;
    outcome.error = run(pool.c_str(), program.c_str(), instructions, memory, input.get(), output.Out());
    output.Pack(&outcome.list);
  });
}

}  // namespace

void ExportPrograms(Napi::Env env, Napi::Object exports) {
  exports.Set("channelProgram", Napi::Function::New(env, ChannelProgram, "channelProgram"));
}

}  // namespace flocker
