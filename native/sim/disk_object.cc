// See disk_object.h.
#include "sim/disk_object.h"

#include <array>
#include <cstdio>
#include <utility>

#include "binding/arguments.h"
#include "binding/store_calls.h"
#include "core/format.h"

namespace plogdb::binding {
namespace {

constexpr napi_type_tag kTag = {0x9f1c3a5e7b2d4c60ull, 0x8e4d2b6a1c3f5d70ull};
constexpr uint64_t kMaxVolumesOfDisk = 2;
constexpr uint64_t kMaxVolumeBytes = uint64_t{4} << 30;
// What the collector should think of a disk: pages come and go with writes, and asking each time would cost more.
constexpr int64_t kWeightBytes = 1 << 20;

// In the order of DISK_FAULTS (src/sim/disk.ts).
constexpr std::array<uint64_t SimFaults::*, 11> kFaults = {{
    &SimFaults::fail_read_in,
    &SimFaults::fail_write_in,
    &SimFaults::fail_flush_in,
    &SimFaults::short_write_in,
    &SimFaults::lose_write_in,
    &SimFaults::lie_flush_in,
    &SimFaults::misdirect_write_in,
    &SimFaults::stale_read_in,
    &SimFaults::flip_read_in,
    &SimFaults::bad_blocks_in,
    &SimFaults::truncate_in,
}};
// In the order of DISK_HITS; the cuts of power come last.
constexpr std::array<uint64_t SimFaultHits::*, 14> kHits = {{
    &SimFaultHits::reads_failed,
    &SimFaultHits::writes_failed,
    &SimFaultHits::flushes_failed,
    &SimFaultHits::writes_short,
    &SimFaultHits::writes_lost,
    &SimFaultHits::flushes_lied,
    &SimFaultHits::writes_misdirected,
    &SimFaultHits::reads_stale,
    &SimFaultHits::bits_flipped,
    &SimFaultHits::stretches_bad,
    &SimFaultHits::beyond_end,
    &SimFaultHits::unflushed_lost,
    &SimFaultHits::writes_torn,
    &SimFaultHits::writes_reordered,
}};
constexpr std::array<SimPower::Cut, 3> kCuts = {SimPower::Cut::kBefore, SimPower::Cut::kWithin, SimPower::Cut::kAfter};

}  // namespace

Napi::Function DiskObject::Define(Napi::Env env) {
  return DefineClass(env, "SimulatedDiskHandle",
                     {
                         InstanceMethod<&DiskObject::CopyFrom>("copyFrom"),
                         InstanceMethod<&DiskObject::LosePower>("losePower"),
                         InstanceMethod<&DiskObject::Arm>("arm"),
                         InstanceMethod<&DiskObject::ArmPowerCut>("armPowerCut"),
                         InstanceMethod<&DiskObject::Disarm>("disarm"),
                         InstanceMethod<&DiskObject::Hits>("hits"),
                         InstanceMethod<&DiskObject::PowerIsOff>("powerIsOff"),
                         InstanceMethod<&DiskObject::Locked>("locked"),
                         InstanceMethod<&DiskObject::Fingerprint>("fingerprint"),
                         InstanceMethod<&DiskObject::Flip>("flip"),
                         InstanceMethod<&DiskObject::Discard>("discard"),
                     });
}

DiskObject* DiskObject::Of(Napi::Env env, Napi::Value value) {
  if (value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&kTag)) return Unwrap(value.As<Napi::Object>());
  (void)Refuse(env, "not a simulated disk");
  return nullptr;
}

DiskObject::DiskObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info), env_(info.Env()), power_(std::make_shared<SimPower>()) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  (void)Napi::MemoryManagement::AdjustExternalMemory(Napi::Env(env_), kWeightBytes);
  const Arguments arguments(info);
  size_t count = 0;
  if (!arguments.Size(0, kMaxVolumesOfDisk, &count) || count == 0 ||
      !arguments.Size(1, kMaxVolumeBytes, &volume_bytes_) || volume_bytes_ % kBlockBytes != 0 || volume_bytes_ == 0 ||
      !arguments.Size(2, kMaxExtentBytes, &extent_bytes_) || extent_bytes_ < 4 * kBlockBytes ||
      extent_bytes_ % kBlockBytes != 0) {
    (void)Refuse(info.Env(), "a disk takes (volumes, volumeBytes, extentBytes)");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    volumes_.push_back(std::make_shared<SimDisk>(volume_bytes_));
    volumes_.back()->SetPower(power_);
  }
}

DiskObject::~DiskObject() { (void)Napi::MemoryManagement::AdjustExternalMemory(Napi::Env(env_), -kWeightBytes); }

Napi::Value DiskObject::CopyFrom(const Napi::CallbackInfo& info) {
  const DiskObject* from = Of(info.Env(), info[0]);
  if (from == nullptr) return info.Env().Undefined();
  volume_bytes_ = from->volume_bytes_;
  extent_bytes_ = from->extent_bytes_;
  volumes_.clear();
  for (const auto& volume : from->volumes_) {
    volumes_.push_back(std::make_shared<SimDisk>(*volume));
    volumes_.back()->Harden();
    volumes_.back()->SetPower(power_);
  }
  return info.Env().Undefined();
}

Napi::Value DiskObject::LosePower(const Napi::CallbackInfo& info) {
  uint64_t seed = 0;
  if (!Arguments(info).SafeInteger(0, &seed)) return Refuse(info.Env(), "losePower takes (seed)");
  SimRandom random(seed);
  for (const auto& volume : volumes_) volume->LosePower(&random);
  power_->Restore();
  return info.Env().Undefined();
}

Napi::Value DiskObject::Arm(const Napi::CallbackInfo& info) {
  const Arguments arguments(info);
  size_t kind = 0;
  uint64_t in = 0;
  uint64_t seed = 0;
  size_t volume = 0;
  if (!arguments.Size(0, kFaults.size() - 1, &kind) || !arguments.SafeInteger(1, &in) || in == 0 ||
      !arguments.SafeInteger(2, &seed) || !arguments.Size(3, kMaxVolumesOfDisk, &volume) ||
      volume >= volumes_.size()) {
    return Refuse(info.Env(), "arm takes (fault, in, seed, volume)");
  }
  SimFaults faults = volumes_[volume]->faults();
  faults.*kFaults[kind] = in;
  faults.misdirect_to = SimFaults::kAnywhere;
  faults.seed = seed + 1;  // 0 would go on with the old one
  volumes_[volume]->SetFaults(faults);
  return info.Env().Undefined();
}

Napi::Value DiskObject::ArmPowerCut(const Napi::CallbackInfo& info) {
  const Arguments arguments(info);
  uint64_t in = 0;
  size_t when = 0;
  uint64_t seed = 0;
  if (!arguments.SafeInteger(0, &in) || in == 0 || !arguments.Size(1, kCuts.size() - 1, &when) ||
      !arguments.SafeInteger(2, &seed)) {
    return Refuse(info.Env(), "armPowerCut takes (in, when, seed)");
  }
  for (const auto& volume : volumes_) {
    SimFaults faults = volume->faults();
    faults.seed = seed + 1;
    volume->SetFaults(faults);
  }
  power_->Arm(in, kCuts[when]);
  return info.Env().Undefined();
}

Napi::Value DiskObject::Disarm(const Napi::CallbackInfo& info) {
  for (const auto& volume : volumes_) volume->SetFaults(SimFaults{});
  if (!power_->off()) power_->Restore();
  return info.Env().Undefined();
}

Napi::Value DiskObject::Hits(const Napi::CallbackInfo& info) {
  Napi::Array result = Napi::Array::New(info.Env(), kHits.size() + 1);
  std::array<uint64_t, kHits.size()> sums{};
  for (const auto& volume : volumes_) {
    const SimFaultHits hits = volume->hits();
    for (size_t i = 0; i < sums.size(); i++) sums[i] += hits.*kHits[i];
  }
  uint32_t at = 0;
  for (const uint64_t sum : sums) result.Set(at++, static_cast<double>(sum));
  result.Set(at, static_cast<double>(power_->cuts()));
  return result;
}

Napi::Value DiskObject::PowerIsOff(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), power_->off());
}

Napi::Value DiskObject::Locked(const Napi::CallbackInfo& info) {
  bool locked = false;
  for (const auto& volume : volumes_) locked |= volume->locked();
  return Napi::Boolean::New(info.Env(), locked);
}

Napi::Value DiskObject::Fingerprint(const Napi::CallbackInfo& info) {
  std::string text;
  for (const auto& volume : volumes_) {
    std::array<char, 17> digits{};
    (void)std::snprintf(digits.data(), digits.size(), "%016llx",
                        static_cast<unsigned long long>(volume->Fingerprint()));
    text += digits.data();
  }
  return Napi::String::New(info.Env(), text);
}

Napi::Value DiskObject::Flip(const Napi::CallbackInfo& info) {
  const Arguments arguments(info);
  std::span<uint8_t> wanted;
  size_t at = 0;
  if (!arguments.Buffer(0, &wanted) || wanted.empty() || !arguments.Size(1, wanted.size() - 1, &at)) {
    return Refuse(info.Env(), "flip takes (bytes, at)");
  }
  size_t places = 0;
  for (const auto& volume : volumes_) {
    for (const uint64_t offset : volume->Find(wanted)) {
      volume->FlipBits(offset + at, 1);
      places++;
    }
  }
  return Napi::Number::New(info.Env(), static_cast<double>(places));
}

Napi::Value DiskObject::Discard(const Napi::CallbackInfo& info) {
  volumes_.clear();
  return info.Env().Undefined();
}

}  // namespace plogdb::binding
