#include "rate_limits.h"

#include "arguments.h"
#include "resource_handle.h"

namespace flocker {

namespace {

using BucketHandle = ResourceHandle<RateBucket>;
using ShareHandle = ResourceHandle<RateShare>;

constexpr char kNoShare[] = "one of the arguments must be a share";

/** makeBucket(bytesPerSecond, now) */
Napi::Value MakeBucket(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  double rate = arguments.Double(0), now = arguments.Double(1);
  if (!arguments.ok()) return {};
  return BucketHandle::Wrap(info.Env(), std::make_shared<RateBucket>(rate, now));
}

/** setBucketRate(bucket, bytesPerSecond, now) */
void SetBucketRate(const Napi::CallbackInfo& info) {
  RateBucket* bucket = BucketHandle::Unwrap(info, 0, "argument 0 must be a bucket");
  Arguments arguments(info);
  double rate = bucket == nullptr ? 0 : arguments.Double(1), now = bucket == nullptr ? 0 : arguments.Double(2);
  if (bucket != nullptr && arguments.ok()) bucket->SetRate(rate, now);
}

/** joinBucket(bucket): a share in it */
Napi::Value JoinBucket(const Napi::CallbackInfo& info) {
  auto bucket = BucketHandle::Share(info, 0, "argument 0 must be a bucket");
  if (bucket == nullptr) return {};
  return ShareHandle::Wrap(info.Env(), std::make_shared<RateShare>(std::move(bucket)));
}

/** takeShare(share, most, now): how many bytes may leave now */
Napi::Value TakeShare(const Napi::CallbackInfo& info) {
  RateShare* share = ShareHandle::Unwrap(info, 0, kNoShare);
  if (share == nullptr) return {};
  Arguments arguments(info);
  double most = arguments.Double(1), now = arguments.Double(2);
  if (!arguments.ok()) return {};
  return Napi::Number::New(info.Env(), static_cast<double>(share->Take(static_cast<uint64_t>(most), now)));
}

/** shareDelay(share, now): milliseconds until some may */
Napi::Value ShareDelay(const Napi::CallbackInfo& info) {
  RateShare* share = ShareHandle::Unwrap(info, 0, kNoShare);
  if (share == nullptr) return {};
  Arguments arguments(info);
  double now = arguments.Double(1);
  if (!arguments.ok()) return {};
  return Napi::Number::New(info.Env(), share->Delay(now));
}

/** leaveBucket(share, now): what it has not used goes to the others */
void LeaveBucket(const Napi::CallbackInfo& info) {
  RateShare* share = ShareHandle::Unwrap(info, 0, kNoShare);
  if (share == nullptr) return;
  Arguments arguments(info);
  double now = arguments.Double(1);
  if (arguments.ok()) share->Leave(0, now);
}

}  // namespace

void ExportRateLimits(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("makeBucket", MakeBucket);
  add("setBucketRate", SetBucketRate);
  add("joinBucket", JoinBucket);
  add("takeShare", TakeShare);
  add("shareDelay", ShareDelay);
  add("leaveBucket", LeaveBucket);
}

std::shared_ptr<RateShare> ShareOf(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsNull()) return nullptr;
  return ShareHandle::Share(info, index, kNoShare);
}

}  // namespace flocker
