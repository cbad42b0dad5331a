// See store_calls.h.
#include "binding/store_calls.h"

#include <cstring>
#include <memory>
#include <string>

#include "binding/arguments.h"
#include "binding/options.h"

namespace plogdb::binding {
namespace {

using namespace layout;

void CollectKey(void* context, std::span<const uint8_t> key, uint64_t position,
                std::span<const uint8_t> header) {
  EncodeScanned(key, position, header, static_cast<std::vector<uint8_t>*>(context));
}

}  // namespace

Napi::Value Refuse(Napi::Env env, const char* text) {
  Napi::TypeError::New(env, text).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value RefuseState(Napi::Env env, const char* method) {
  Napi::Error::New(env, std::string(method) + " is not allowed in this state of the store").ThrowAsJavaScriptException();
  return env.Undefined();
}

void StoreCalls::Forget() {
  completions_.clear();
  next_completion_ = 0;
}

bool StoreCalls::RequireStore(Napi::Env env, const char* method) const {
  if (store_ != nullptr) return true;
  (void)RefuseState(env, method);
  return false;
}

Napi::Value StoreCalls::Load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!RequireStore(env, "load")) return env.Undefined();
  const Arguments arguments(info);
  std::span<uint8_t> request;
  std::span<uint8_t> result;
  Slab slab;
  size_t count = 0;
  if (!arguments.Prefix(0, 1, &request) || !arguments.Size(2, kMaxLoadKeys, &count) ||
      !arguments.Buffer(3, &result) || !arguments.TakeSlab(4, 5, &slab)) {
    return Refuse(env, "load takes (request, requestBytes, keys, result, slab, slabAt)");
  }
  if (result.size() / kLoadedBytes < count) return Refuse(env, "load: the result has no room for all keys");
  const char* wrong = DecodeKeys(request, count, &keys_);
  if (wrong != nullptr) return Refuse(env, wrong);
  if (loaded_.size() < count) loaded_.resize(count);
  for (size_t i = 0; i < count; i++) {
    loaded_[i].slots = 0;
    loaded_[i].corrupt = false;
    store_->Load(keys_[i], &loaded_[i]);
  }
  const std::span<const LoadedKey> loaded(loaded_.data(), count);
  const size_t needed = InlineBytes(loaded);
  const bool fits = needed <= slab.bytes.size() - slab.at;
  if (fits) EncodeLoaded(loaded, result, &slab);
  // Values are shared with the cache: whoever holds them longer than needed keeps memory from it.
  for (size_t i = 0; i < count; i++) {
    for (SlotView& slot : loaded_[i].slot) slot.value = ValueRef();
  }
  return Napi::Number::New(env, fits ? static_cast<double>(slab.at) : -static_cast<double>(needed));
}

Napi::Value StoreCalls::Get(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!RequireStore(env, "get")) return env.Undefined();
  const Arguments arguments(info);
  Slab slab;
  size_t key_bytes = 0;
  if (!arguments.TakeSlab(0, 2, &slab) || !arguments.Size(1, kGetFirst, &key_bytes) || key_bytes == 0 ||
      slab.at < kGetFirst) {
    return Refuse(env, "get takes (slab with the key, keyBytes, slabAt)");
  }
  const NewestValue newest = store_->CopyNewest(slab.bytes.first(key_bytes), slab.bytes.subspan(slab.at));
  return Napi::Number::New(env, EncodeNewest(newest));
}

Napi::Value StoreCalls::Submit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!RequireStore(env, "submit")) return env.Undefined();
  const Arguments arguments(info);
  std::span<uint8_t> bytes;
  uint64_t token = 0;
  if (!arguments.Prefix(0, 1, &bytes) || !arguments.SafeInteger(2, &token)) {
    return Refuse(env, "submit takes (request, requestBytes, token)");
  }
  const char* wrong = DecodeRequest(bytes, &request_);
  if (wrong != nullptr) return Refuse(env, wrong);
  if ((token == 0) != request_.ops.empty())
    return Refuse(env, "submit: a token exactly where there is a batch");
  if (token != 0) {
    const Status status = store_->SubmitBatch(request_.ops, token);
    if (!status.ok()) return Refuse(env, ("submit: " + status.message()).c_str());
  }
  for (const ReadOp& read : request_.reads) {
    const Status status = store_->Read(read.key, read.position, read.tag);
    if (!status.ok()) return Refuse(env, ("read: " + status.message()).c_str());
  }
  return env.Undefined();
}

bool StoreCalls::TakeCompletions() {
  if (next_completion_ < completions_.size()) return true;
  completions_.clear();
  next_completion_ = 0;
  return store_ != nullptr && store_->DrainCompletions(&completions_) > 0;
}

Napi::Value StoreCalls::Drain(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Arguments arguments(info);
  std::span<uint8_t> events;
  Slab slab;
  if (!arguments.Buffer(0, &events) || !arguments.TakeSlab(1, 2, &slab) ||
      events.size() < kEventsFirst + kEventBytes) {
    return Refuse(env, "drain takes (events, slab, slabAt)");
  }
  if (!TakeCompletions()) return Napi::Number::New(env, 0);
  size_t needed = 0;
  const size_t count = EncodeEvents(std::span<const Completion>(completions_).subspan(next_completion_),
                                    events, &slab, &needed);
  for (size_t i = 0; i < count; i++) completions_[next_completion_ + i].value = ValueRef();
  next_completion_ += count;
  return Napi::Number::New(env, count > 0 ? static_cast<double>(count) : -static_cast<double>(needed));
}

Napi::Value StoreCalls::Watermark(const Napi::CallbackInfo& info) {
  if (!RequireStore(info.Env(), "watermark")) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(store_->Watermark()));
}

Napi::Value StoreCalls::IsFull(const Napi::CallbackInfo& info) {
  if (!RequireStore(info.Env(), "isFull")) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), store_->IsFull());
}

Napi::Value StoreCalls::IsShort(const Napi::CallbackInfo& info) {
  if (!RequireStore(info.Env(), "isShort")) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), store_->IsShort());
}

Napi::Value StoreCalls::Stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!RequireStore(env, "stats")) return env.Undefined();
  std::span<uint8_t> to;
  if (!Arguments(info).Buffer(0, &to) || to.size() < kStatCount * sizeof(double)) {
    return Refuse(env, "stats takes a buffer of its size");
  }
  StoreStats stats;
  store_->Stats(&stats);
  EncodeStats(stats, std::span<double, kStatCount>(reinterpret_cast<double*>(to.data()), kStatCount));
  return env.Undefined();
}

Napi::Value StoreCalls::Iterate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!RequireStore(env, "iterate")) return env.Undefined();
  const Arguments arguments(info);
  std::span<uint8_t> position;
  size_t limit = 0;
  if (!arguments.Buffer(0, &position) || position.size() < kCursorBytes || !arguments.Size(1, kMaxScanKeys, &limit) ||
      limit == 0) {
    return Refuse(env, "iterate takes (cursor, keys)");
  }
  uint64_t cursor = 0;
  uint64_t until = kIterationEnd;
  std::memcpy(&cursor, position.data(), sizeof(cursor));
  std::memcpy(&until, position.data() + kCursorUntil, sizeof(until));
  if (cursor == kIterationEnd) return Napi::ArrayBuffer::New(env, 0);
  auto keys = std::make_unique<std::vector<uint8_t>>();
  cursor = store_->Iterate(cursor, until, limit, CollectKey, keys.get());
  const uint32_t done = cursor == kIterationEnd ? 1 : 0;
  std::memcpy(position.data(), &cursor, sizeof(cursor));
  std::memcpy(position.data() + kCursorDone, &done, sizeof(done));
  if (keys->empty()) return Napi::ArrayBuffer::New(env, 0);
  std::vector<uint8_t>* owned = keys.release();
  return Napi::ArrayBuffer::New(
      env, owned->data(), owned->size(), [](Napi::Env, void*, std::vector<uint8_t>* owner) { delete owner; }, owned);
}

Napi::Value StoreCalls::Digests(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!RequireStore(env, "digests")) return env.Undefined();
  const Arguments arguments(info);
  size_t first = 0;
  size_t count = 0;
  std::span<uint8_t> to;
  if (!arguments.Size(0, kDigestBuckets, &first) || !arguments.Size(1, kDigestBuckets - first, &count) ||
      !arguments.Buffer(2, &to) || to.size() < count * sizeof(uint64_t) ||
      reinterpret_cast<uintptr_t>(to.data()) % alignof(uint64_t) != 0) {
    return Refuse(env, "digests takes (first, count, room for them)");
  }
  const std::span<uint64_t> out(reinterpret_cast<uint64_t*>(to.data()), count);
  const Status status = store_->Digests(static_cast<uint32_t>(first), out);
  if (!status.ok()) return Refuse(env, ("digests: " + status.message()).c_str());
  return env.Undefined();
}

Napi::Value StoreCalls::SetMerge(const Napi::CallbackInfo& info) {
  MergeOptions options;
  if (!RequireStore(info.Env(), "setMerge") || !ReadMerge(info.Env(), info[0], &options))
    return info.Env().Undefined();
  store_->SetMerge(options);
  return info.Env().Undefined();
}

Napi::Value StoreCalls::SetScrub(const Napi::CallbackInfo& info) {
  ScrubOptions options;
  if (!RequireStore(info.Env(), "setScrub") || !ReadScrub(info.Env(), info[0], &options))
    return info.Env().Undefined();
  store_->SetScrub(options);
  return info.Env().Undefined();
}

}  // namespace plogdb::binding
