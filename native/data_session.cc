#include "data_session.h"

#include "arguments.h"
#include "data_mover.h"
#include "rate_limits.h"
#include "resource_handle.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>

namespace flocker {

namespace {

Napi::Value OrNull(Napi::Env env, const std::string& problem) {
  if (problem.empty()) return env.Null();
  return Napi::String::New(env, problem);
}

/** dataSessionProblem(): why openSession() can't be used here, or null. */
Napi::Value Problem(const Napi::CallbackInfo& info) { return OrNull(info.Env(), OpensslProblem()); }

/** kernelTlsProblem(): why TLS can't be left to the kernel here, or null. */
Napi::Value KernelProblem(const Napi::CallbackInfo& info) {
  std::string problem = OpensslProblem();
#ifdef FLOCKER_ZFS_OPENSSL
  if (problem.empty()) problem = KernelTls::Problem();
#endif
  return OrNull(info.Env(), problem);
}

/** duplicate(descriptor): a copy, which is the caller's to close */
Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int copy = fcntl(arguments.Int(0), F_DUPFD_CLOEXEC, 0);
  if (!arguments.ok()) return {};
  if (copy >= 0) return Napi::Number::New(info.Env(), copy);
  napi_throw_error(info.Env(), "ERR_SYSTEM", strerror(errno));
  return {};
}

#ifdef FLOCKER_ZFS_OPENSSL

constexpr size_t kKeySize = 32;

using MoverHandle = ResourceHandle<DataMover>;

DataMover* MoverOf(const Napi::CallbackInfo& info) {
  return MoverHandle::Unwrap(info, 0, "argument 0 must be a data session");
}

/**
 * openSession(descriptor, server, key, keyBytes, milliseconds, kernel): a data session over a copy of a socket's descriptor, between two ends
 * that have a key of 32 bytes in common. The handshake may take so long; after it the kernel makes and reads the records, if `kernel`.
 */
Napi::Value OpenSession(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  UniqueFd socket(fcntl(arguments.Int(0), F_DUPFD_CLOEXEC, 0));
  int error = socket ? 0 : errno;
  State* state = State::Of(env);
  TlsSession::Settings settings{state->tls(), -1, arguments.Flag(1), std::vector<uint8_t>(kKeySize), 0, arguments.Flag(5)};
  if (!arguments.Bytes(2, settings.key.data(), kKeySize)) return {};
  settings.keyBytes = arguments.BigInt(3);
  int milliseconds = arguments.Int(4);
  if (!arguments.ok()) return {};
  auto mover = std::make_shared<DataMover>(state);
  if (error == 0) error = mover->Start(std::move(socket), std::move(settings), milliseconds);
  if (error != 0) {
    napi_throw_error(env, "ERR_SYSTEM", error < 0 ? mover->failure().c_str() : strerror(error));
    return {};
  }
  state->Register(mover);
  return MoverHandle::Wrap(env, std::move(mover));
}

/** The promise for an answer that the mover is given. */
template <typename Given>
Napi::Value Submit(const Napi::CallbackInfo& info, DataMover* mover, void (MoverOrders::*give)(std::unique_ptr<Given>),
                   std::unique_ptr<Given> answer) {
  napi_value promise = State::Of(info.Env())->Expect(info.Env(), answer.get());
  if (promise == nullptr) return {};
  (mover->orders().*give)(std::move(answer));
  return Napi::Value(info.Env(), promise);
}

/** sessionNews(session, bytes): what MoverNews says, once there is any; with or without bytes. One call at a time. */
Napi::Value News(const Napi::CallbackInfo& info) {
  DataMover* mover = MoverOf(info);
  if (mover == nullptr) return {};
  auto answer = std::make_unique<NewsAnswer>();
  napi_value promise = State::Of(info.Env())->Expect(info.Env(), answer.get());
  if (promise == nullptr) return {};
  mover->orders().Ask(std::move(answer), info[1].ToBoolean().Value());
  return Napi::Value(info.Env(), promise);
}

/** sessionWant(session): the call that is under way may bring bytes, too */
void Want(const Napi::CallbackInfo& info) {
  if (DataMover* mover = MoverOf(info)) mover->orders().Want();
}

/** sessionSay(session, buffers) */
Napi::Value Say(const Napi::CallbackInfo& info) {
  DataMover* mover = MoverOf(info);
  if (mover == nullptr) return {};
  return Submit(info, mover, &MoverOrders::Say, std::make_unique<SayAnswer>(info.Env(), info[1]));
}

/** sessionFeed(session, transfer, share): false where the transfer is closed */
Napi::Value Feed(const Napi::CallbackInfo& info) {
  DataMover* mover = MoverOf(info);
  Transfer* transfer = mover == nullptr ? nullptr : TransferOf(info, 1);
  if (transfer == nullptr) return {};
  auto share = ShareOf(info, 2);
  if (info.Env().IsExceptionPending()) return {};
  auto pipe = transfer->Lend();
  if (pipe) mover->orders().Feed(pipe, std::move(share));
  return Napi::Boolean::New(info.Env(), pipe != nullptr);
}

/** sessionDrain(session, transfer, left): false where the transfer is closed */
Napi::Value Drain(const Napi::CallbackInfo& info) {
  DataMover* mover = MoverOf(info);
  Transfer* transfer = mover == nullptr ? nullptr : TransferOf(info, 1);
  if (transfer == nullptr) return {};
  Arguments arguments(info);
  int left = arguments.Int(2);
  if (!arguments.ok()) return {};
  auto pipe = transfer->Lend();
  if (pipe) mover->orders().Drain(pipe, left);
  return Napi::Boolean::New(info.Env(), pipe != nullptr);
}

/** sessionRelease(session): resolves when the session has let go of its pipe */
Napi::Value ReleasePipe(const Napi::CallbackInfo& info) {
  DataMover* mover = MoverOf(info);
  if (mover == nullptr) return {};
  return Submit(info, mover, &MoverOrders::Release, std::make_unique<ReleaseAnswer>());
}

/** sessionFinish(session, last, milliseconds) */
void Finish(const Napi::CallbackInfo& info) {
  DataMover* mover = MoverOf(info);
  if (mover == nullptr) return;
  Arguments arguments(info);
  auto last = arguments.List(1);
  int milliseconds = arguments.Int(2);
  if (arguments.ok()) mover->orders().Finish(std::vector<char>(last.begin(), last.end()), milliseconds);
}

/** sessionDestroy(session) */
void Destroy(const Napi::CallbackInfo& info) {
  if (DataMover* mover = MoverOf(info)) mover->Cancel();
}

#endif

}  // namespace

void ExportDataSessions(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("dataSessionProblem", Problem);
  add("kernelTlsProblem", KernelProblem);
  add("duplicate", Duplicate);
#ifdef FLOCKER_ZFS_OPENSSL
  add("openSession", OpenSession);
  add("sessionNews", News);
  add("sessionWant", Want);
  add("sessionSay", Say);
  add("sessionFeed", Feed);
  add("sessionDrain", Drain);
  add("sessionRelease", ReleasePipe);
  add("sessionFinish", Finish);
  add("sessionDestroy", Destroy);
#endif
}

}  // namespace flocker
