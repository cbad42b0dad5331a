// What of each operation reaches the disk (D5, D13): decided in the order in which they were asked for, when a run is
// composed, against the index and what the runs ahead of it will have changed.
#include "assert.h"
#include "canary.h"
#include "writer.h"

namespace plogdb {

KeyState* VolumeWriter::StateFor(const BatchUnit& unit, const UnitOp& op, Run* run) {
  const std::string_view key = AsText(unit.KeyOf(op));
  KeyState* found = run->keys.Find(key, op.hash);
  if (found != nullptr) return found;
  const KeyState* before = run == ahead_ ? run_->keys.Find(key, op.hash) : nullptr;
  if (before != nullptr) return run->keys.Add(key, op.hash, *before);
  return run->keys.Add(key, op.hash, shared_->index->StateOf(unit.KeyOf(op), op.hash));
}

// Floors never fall (D5) and erasures never shrink (D13), whatever the order in which they were asked for.
void VolumeWriter::ResolveOp(UnitOp* op, KeyState* state, Run* run) {
  if (op->kind == UnitOpKind::kDrop) {
    op->written = state->present && !state->marker_only;
    if (!op->written) return;
    *state = KeyState{true, 0, 0, true, 0};
    ++run->records;
    state->erased_in_run = ++run->lsns;
    return;
  }
  op->floor = std::max(op->floor, state->floor);
  op->written = op->position >= op->floor;
  if (!op->written) return;
  op->erased_below = state->erased_below;
  op->erased_in_run = state->erased_in_run;
  ++run->records;
  ++run->lsns;
  state->present = true;
  state->marker_only = false;
  state->floor = op->floor;
}

// A copy is written when the record still lives where it was found. A decided record is written anew only when nobody
// wrote the key meanwhile: it takes the header that it has now, its own position as its floor, and a new LSN.
void VolumeWriter::ResolveMergeOp(BatchUnit* unit, UnitOp* op, Run* run) {
  const std::string_view key = AsText(unit->KeyOf(*op));
  const Verdict verdict = shared_->index->Judge(unit->KeyOf(*op), op->hash, op->lsn, op->from, false);
  op->written = verdict.live && !verdict.corrupt;
  if (op->kind == UnitOpKind::kCopy && CanaryOn(Canary::kMergeOverwritesNewer)) {
    op->kind = UnitOpKind::kPut;
    op->written = true;
    ++run->records;
    ++run->lsns;
    return;
  }
  if (op->kind == UnitOpKind::kCopy) {
    if (op->written) ++run->records;
    return;
  }
  const bool touched =
      run->keys.Find(key, op->hash) != nullptr || (run == ahead_ && run_->keys.Find(key, op->hash) != nullptr);
  op->written = verdict.live && verdict.decided() && !touched;
  if (!op->written) return;
  KeyState* state = StateFor(*unit, *op, run);
  op->replaces = op->lsn;
  std::copy(verdict.slot.header.begin(), verdict.slot.header.end(), unit->MutableHeaderOf(*op).begin());
  op->floor = op->position;
  op->erased_below = state->erased_below;
  state->floor = op->floor;
  ++run->records;
  ++run->lsns;
}

void VolumeWriter::ResolveOps(Run* run) {
  run->records = 0;
  run->lsns = 0;
  size_t ops = 0;
  for (const BatchUnit& unit : run->units) ops += unit.ops.size();
  run->keys.Clear(ops);
  for (BatchUnit& unit : run->units) {
    for (UnitOp& op : unit.ops) {
      if (op.kind == UnitOpKind::kMark) continue;
      if (op.kind == UnitOpKind::kCopy || op.kind == UnitOpKind::kRewrite) {
        ResolveMergeOp(&unit, &op, run);
      } else {
        ResolveOp(&op, StateFor(unit, op, run), run);
      }
    }
  }
}

}  // namespace plogdb
