// The disk of one simulated replica as JavaScript has it: one or two volumes with one power switch. It outlives the
// stores that are opened on it, one at a time. It knows which fault has which number (src/sim/engine-disk.ts has the
// same list); what a fault does is the device's matter.
#ifndef PLOGDB_SIM_DISK_OBJECT_H_
#define PLOGDB_SIM_DISK_OBJECT_H_

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/sim_device.h"

namespace plogdb::binding {

class DiskObject : public Napi::ObjectWrap<DiskObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  // Null, and an error is pending, when the value is no disk.
  static DiskObject* Of(Napi::Env env, Napi::Value value);

  // new Disk(volumes, volumeBytes, extentBytes): the least size of an extent.
  explicit DiskObject(const Napi::CallbackInfo& info);
  ~DiskObject() override;
  DiskObject(const DiskObject&) = delete;
  DiskObject& operator=(const DiskObject&) = delete;

  const std::vector<std::shared_ptr<SimDisk>>& volumes() const { return volumes_; }
  uint64_t volume_bytes() const { return volume_bytes_; }
  uint64_t extent_bytes() const { return extent_bytes_; }

 private:
  // copyFrom(disk): becomes what a backup of it holds now.
  Napi::Value CopyFrom(const Napi::CallbackInfo& info);
  // losePower(seed)
  Napi::Value LosePower(const Napi::CallbackInfo& info);
  // arm(fault, in, seed, volume)
  Napi::Value Arm(const Napi::CallbackInfo& info);
  // armPowerCut(in, when, seed): 0 before, 1 within, 2 after
  Napi::Value ArmPowerCut(const Napi::CallbackInfo& info);
  Napi::Value Disarm(const Napi::CallbackInfo& info);
  // hits() -> numbers in the order of DISK_HITS
  Napi::Value Hits(const Napi::CallbackInfo& info);
  Napi::Value PowerIsOff(const Napi::CallbackInfo& info);
  Napi::Value Locked(const Napi::CallbackInfo& info);
  // fingerprint() -> hex digits
  Napi::Value Fingerprint(const Napi::CallbackInfo& info);
  // flip(bytes, at) -> how many places held these bytes: the lowest bit of the byte at `at` of each is another one now
  Napi::Value Flip(const Napi::CallbackInfo& info);

  // discard(): gives the memory back now; the collector comes when it likes. Good for nothing afterwards.
  Napi::Value Discard(const Napi::CallbackInfo& info);

  napi_env env_;
  uint64_t volume_bytes_ = 0;
  uint64_t extent_bytes_ = 0;
  std::vector<std::shared_ptr<SimDisk>> volumes_;
  std::shared_ptr<SimPower> power_;
};

}  // namespace plogdb::binding

#endif  // PLOGDB_SIM_DISK_OBJECT_H_
