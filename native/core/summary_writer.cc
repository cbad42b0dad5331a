// The order of writing is free, because a summary is believed only whole; parts go from low to high, the trailer last.
#include "summary_writer.h"

#include <utility>

namespace plogdb {

SummaryWriter::SummaryWriter(const StoreId* store_id, uint32_t volume, BlockDevice* device, const Geometry& geometry,
                             ExtentMap* extents, SummaryStart start)
    : store_id_(store_id),
      volume_(volume),
      device_(device),
      geometry_(geometry),
      extents_(extents),
      open_(std::move(start.open)) {
  for (auto& summary : start.sealed) sealed_.push_back(std::move(summary));
}

void SummaryWriter::AddRun(const FoundRun& run, uint64_t life) {
  if (open_ == nullptr || open_->life() != life) {
    open_ = std::make_unique<SummaryBuilder>(volume_, geometry_.extent_of(run.mark.block), life);
  }
  open_->AddRun(run);  // gives up by itself when runs of this life are missing
  if (run.kind != RunKind::kSeal) return;
  // The room was kept free (D12), unless an earlier process could not read the extent well and gave up on it.
  const bool fits = run.mark.end() + open_->blocks() <= geometry_.end_block(open_->extent());
  if (fits) sealed_.push_back(std::move(open_));
  open_.reset();
}

Status SummaryWriter::Step(uint64_t* bytes) {
  if (sealed_.empty()) return Status::Ok();
  SummaryBuilder& summary = *sealed_.front();
  const bool kept = extents_->IsSealed(summary.extent(), summary.life());
  if (kept && next_block_ == 0) summary.Finish(*store_id_, geometry_);
  const auto part = kept ? summary.Part(next_block_) : std::span<const uint8_t>();
  if (part.empty()) {
    sealed_.pop_front();
    next_block_ = 0;
    return Status::Ok();
  }
  const uint32_t first_block = geometry_.end_block(summary.extent()) - summary.blocks();
  const Status status = device_->Write(uint64_t{first_block + next_block_} * kBlockBytes, part);
  next_block_ += static_cast<uint32_t>(part.size() / kBlockBytes);
  *bytes += part.size();
  return status;
}

}  // namespace plogdb
