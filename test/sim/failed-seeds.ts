/** Seeds of the swarm that failed once, and why. They run for ever: what draws them may change, but they cost little. */
export const FAILED_SEEDS: readonly { readonly seed: number; readonly story: string }[] = [
  {
    seed: 7,
    story: "D8: a run whose flush had failed was taken for durable by the next opening, and went with the power",
  },
  { seed: 42, story: "D8: the same, after a power cut that nobody else saw" },
  { seed: 52, story: "D8: the same, found by a read long after the opening" },
  {
    seed: 1569,
    story: "P16: BEHIND came twice; the second submit was refused, and the first counted as never proposed",
  },
  { seed: 1095, story: "D6: four large writes of one key in one turn were one batch, too large for the engine" },
  { seed: 1478, story: "D6: the same" },
  { seed: 1146, story: "P20: what an ended life of its proposer had left undecided was never settled" },
  { seed: 7145, story: "D12: merge stopped where a store was just not short; deletions could not be decided" },
  { seed: 7177, story: "D12: the same, with large values and two nodes" },
  { seed: 202002, story: "P29: a binding fell between two connections, and two nodes never spoke again" },
  { seed: 85, story: "D12: nobody woke merge of a store that had become short with nothing under way" },
  {
    seed: 850,
    story: "P31: a broken key was restored by what nobody was asked, and an acknowledged write was not read",
  },
  {
    seed: 316,
    story: "D12, D13: deletions were chosen by marks, so that what they deleted stayed, and the disk full for ever",
  },
  { seed: 557, story: "P30: an order that was taken back came back after a kill" },
  { seed: 500075, story: "P30: a learner handed writes to the leader only, who was a learner too" },
  { seed: 500190, story: "P30: the same, for many keys" },
  { seed: 702429, story: "P30: reads with little time asked the same two learners again and again, never the voters" },
  { seed: 704298, story: "a false one: a disk full of broken extents may stay behind, and was asked for more" },
  {
    seed: 714817,
    story: "a false one: a copy took the place of a disk whose process had ended with votes that nobody had heard",
  },
  {
    seed: 803205,
    story: "a false one: the same, and those who had heard of them had lost their memory with their machines",
  },
];
