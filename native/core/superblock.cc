// Superblock copies. Two that agree are enough; a format that was interrupted leaves the last two places zero.
#include "superblock.h"

#include <array>
#include <cstring>
#include <optional>

#include "align.h"

namespace plogdb {
namespace {

struct Copies {
  std::array<std::optional<Superblock>, kSuperCopies> copy;
  std::array<bool, kSuperCopies> zero{};
};

bool Agree(Superblock a, Superblock b) {
  a.copy = b.copy = 0;
  a.crc = b.crc = 0;
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

Status ReadCopies(BlockDevice* device, const Geometry& geometry, Copies* copies) {
  AlignedBuffer block;
  block.Reserve(kBlockBytes);
  for (size_t i = 0; i < kSuperCopies; ++i) {
    copies->copy[i].reset();
    copies->zero[i] = false;
    // A copy that cannot be read is a broken one.
    if (!device->Read(geometry.super_offset(i), block.first(kBlockBytes)).ok()) continue;
    copies->copy[i] = DecodeSuperblock(block.first(kBlockBytes));
    copies->zero[i] = IsZero(block.first(kBlockBytes));
  }
  return Status::Ok();
}

// The copy that most others agree with.
void Vote(const Copies& copies, VolumeIdentity* out) {
  for (const auto& candidate : copies.copy) {
    if (!candidate) continue;
    uint32_t votes = 0;
    for (const auto& other : copies.copy) votes += other && Agree(*candidate, *other) ? 1 : 0;
    if (votes <= out->good_copies) continue;
    out->good_copies = votes;
    out->super = *candidate;
  }
}

// What cannot be read counts as data: a format never writes over it, and a formatted volume opens all the same.
bool LooksUsed(BlockDevice* device, const Geometry& geometry) {
  AlignedBuffer block;
  block.Reserve(kBlockBytes);
  for (uint32_t extent = 0; extent < geometry.extents(); ++extent) {
    const uint64_t offset = uint64_t{geometry.first_data_block(extent)} * kBlockBytes;
    if (!device->Read(offset, block.first(kBlockBytes)).ok()) return true;
    uint32_t magic;
    std::memcpy(&magic, block.data(), sizeof(magic));
    if (magic == kBlockMagic) return true;
  }
  return false;
}

Status TryGeometry(BlockDevice* device, const Geometry& geometry, Copies* copies, VolumeIdentity* out) {
  *out = VolumeIdentity{};
  Status status = ReadCopies(device, geometry, copies);
  if (!status.ok()) return status;
  Vote(*copies, out);
  if (out->good_copies >= 2) out->content = VolumeContent::kFormatted;
  return Status::Ok();
}

}  // namespace

Status ReadVolumeIdentity(BlockDevice* device, const std::string& path, uint64_t configured_bytes,
                          VolumeIdentity* out) {
  // The first copy, when it can be read, says how large the volume is; else the device and the options are asked.
  AlignedBuffer block;
  block.Reserve(kBlockBytes);
  std::optional<Superblock> first;
  if (device->Read(0, block.first(kBlockBytes)).ok()) first = DecodeSuperblock(block.first(kBlockBytes));
  const std::array<uint64_t, 3> sizes = {first ? first->volume_bytes : 0, configured_bytes, device->bytes()};
  Copies copies;
  bool blank = false;
  for (const uint64_t bytes : sizes) {
    if (bytes < MinExtentBytes() * 4 || bytes > device->bytes()) continue;
    const Geometry geometry = MakeGeometry(bytes);
    Status status = TryGeometry(device, geometry, &copies, out);
    if (!status.ok()) return status;
    const bool has_data = LooksUsed(device, geometry);
    out->has_data = has_data;
    if (out->content == VolumeContent::kFormatted) return Status::Ok();
    const bool untouched = copies.zero[0] && copies.zero[1];
    const bool interrupted = first.has_value() || copies.copy[1].has_value() || untouched;
    // Something that is not ours in block 0 is never formatted over, except the torn copy of an interrupted format.
    uint64_t magic;
    std::memcpy(&magic, block.data(), sizeof(magic));
    const bool torn = magic == kSuperMagic || copies.zero[0];
    blank = copies.zero[2] && copies.zero[3] && (interrupted || torn) && !has_data;
    if (blank) return Status::Ok();
  }
  if (out->good_copies > 0 || out->has_data) {
    return Status(StatusCode::kCorrupt, path + ": fewer than two of four superblock copies agree");
  }
  return Status(StatusCode::kForeign, path + " holds something that is not a plogdb volume; wipe it to use it");
}

Status WriteSuperblock(BlockDevice* device, Superblock super) {
  AlignedBuffer block;
  block.Reserve(kBlockBytes);
  const Geometry geometry{super.volume_bytes, super.extent_bytes};
  super.magic = kSuperMagic;
  super.version = kFormatVersion;
  super.block_bytes = kBlockBytes;
  for (uint16_t i = 0; i < kSuperCopies; ++i) {
    super.copy = i;
    EncodeSuperblock(super, block.first(kBlockBytes));
    Status status = device->Write(geometry.super_offset(i), block.first(kBlockBytes));
    if (status.ok() && i % 2 == 1) status = device->Flush();
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

}  // namespace plogdb
