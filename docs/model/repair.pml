/*
 * Losing a disk and voting again (P29 to P31), as a model of its own: three replicas, one key, one or two positions, two proposers of
 * two phases, one ballot each a position. Written from docs/protocol.md, not from the code. What is not about losses is left
 * simple: an acceptor's record and its answer are one step (also at the proposer itself, which asks before it has recorded
 * anything), messages are never forged, and class zero is plogdb.pml's affair.
 *
 * Every answer carries the number of the loss after which it was given; a proposer that has bound a higher one counts it no
 * more. Replica LOSER loses things; with SECOND another one does too. KIND says what is lost:
 *   1  the whole disk: an empty one comes in its place (replacement in place is the same)
 *   2  an old copy of the disk comes back: what it held when it was made
 *   3  the record of the key is broken, and nothing else (a small loss)
 *   4  birth: the empty disk does not know whether it is the first one
 *
 * Variants, each of which must break an assertion: NO_FENCE, ONE_ROUND, FENCE_KEEPS_VOTES, FENCE_VOLATILE, POLL_MAJORITY,
 * POLL_CHOSEN_ONLY, POLL_STALE, RESTORE_VOLATILE, SECOND_LOSS, WATERMARK_IGNORED, BIRTH_BY_MAJORITY, COUNTER_KEPT.
 */
#ifndef KIND
#define KIND 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef POS
#define POS 1
#endif
#define LOSER 1
#define IX(a, b) ((a) * 3 + (b))
#define BIT(a) (1 << (a))
#define OTHERS(a) (7 - BIT(a))
#define MAJ(s) ((s) == 3 || (s) == 5 || (s) == 6 || (s) == 7)
#define BALLOT(w) ((w) + 1)

/* Durable, of each replica: chosen entries up to ch; the open position above it. */
byte ch[3], cv[9];              /* cv[IX(x, p)], p = 1, 2 */
byte pr[3], ab[3], av[3];       /* promised, accepted ballot, accepted value */
bool lrn[3];                    /* P30: has no vote */
bool asks[3];                   /* and is about to get it back */
byte vf[3];                     /* P31: votes from this position on */
byte ls[3];                     /* number of its last loss, told with every answer */
byte bound[9];                  /* bound[IX(y, x)]: y counts nothing of x from before this loss */
bool met[9];                    /* met[IX(y, x)]: y has bound a disk of x (P29) */

/* What a lost record leaves in memory, and what a restored one has not on disk yet. */
bool volatileVote[3];

/* An old copy of the loser's disk, and how many records it had then; what peers have heard it had. */
bool hasCopy;
byte cch, cpr, cab, cav, ccv1, ccv2, cwm;
byte wm;                        /* records that the loser made durable in this life of its disk */
byte heard[3];

/* Proposers, in memory: phase 0 none, 1 prepare, 2 accept, 3 dead. */
byte ph[3], pp[3], pv[3], bb[3], bv[3], val[3];
/* Answers under way, one of each kind: to proposer w from x; the loss after which they were given. */
bool ap[9]; byte app[9], apb[9], apv[9], apl[9];
bool aa[9]; byte aap[9], aal[9];

/* The repair of each replica: whom the fence and the poll have reached, and the highest index told. */
byte fenced[3], polled[3], top[3];
byte losses, crashes;

/* Ghosts: what was ever declared chosen. */
byte decided[3];

#define MAYVOTE(x, p) (!lrn[x] && (p) >= vf[x])
#define TOP(y) (ch[y] + ((pr[y] > 0 || ab[y] > 0) -> 1 : 0))

inline forget(x) { pr[x] = 0; ab[x] = 0; av[x] = 0 }

inline wipe(x) { ch[x] = 0; cv[IX(x, 1)] = 0; cv[IX(x, 2)] = 0; forget(x) }

inline dieProposer(x) {
  /* A process that lost its disk starts anew: what it proposed is over, and its ballots are not used again. */
  if
  :: ph[x] == 1 || ph[x] == 2 -> ph[x] = 3
  :: else
  fi;
  pv[x] = 0
}

inline beginRepair(x) {
  lrn[x] = true; asks[x] = true; vf[x] = 0;
  fenced[x] = 0;
#ifndef POLL_STALE
  polled[x] = 0; top[x] = 0
#endif
}

/* y takes back everything it counted of x, and binds the loss. */
inline fence(y, x) {
  bound[IX(y, x)] = ls[x];
#ifndef FENCE_KEEPS_VOTES
  pv[y] = pv[y] & (7 - BIT(x));
#endif
  fenced[x] = fenced[x] | BIT(y)
}

inline poll(y, x) {
#ifdef POLL_CHOSEN_ONLY
  if :: ch[y] > top[x] -> top[x] = ch[y] :: else fi;
#else
  if :: TOP(y) > top[x] -> top[x] = TOP(y) :: else fi;
#endif
  polled[x] = polled[x] | BIT(y)
}

inline noteDurable(x) {
#if KIND == 2 || KIND == 4
  if :: x == LOSER && wm < 7 -> wm++ :: else fi
#else
  skip
#endif
}

inline declare(w) {
  assert(decided[pp[w]] == 0 || decided[pp[w]] == val[w]);
  decided[pp[w]] = val[w];
  /* P4: the base is held before anything above it. */
  if
  :: ch[w] == pp[w] - 1 -> ch[w] = pp[w]; cv[IX(w, pp[w])] = val[w]; forget(w); noteDurable(w)
  :: else
  fi;
  ph[w] = 0; pv[w] = 0
}

/* A proposer begins at the position above what it knows as chosen. Its own record follows, as that of any other. */
#define BEGIN(w) \
  :: atomic { ph[w] == 0 && ch[w] < POS && pp[w] <= ch[w] && MAYVOTE(w, ch[w] + 1) -> \
       ph[w] = 1; pp[w] = ch[w] + 1; pv[w] = 0; bb[w] = 0; bv[w] = 0; val[w] = w + 1 }

#define OPEN(w, x) (ch[x] == pp[w] - 1 && MAYVOTE(x, pp[w]) && BALLOT(w) >= pr[x])

/* x answers what w asks for now. */
#define PROMISE(w, x) \
  :: atomic { ph[w] == 1 && OPEN(w, x) && !ap[IX(w, x)] && (pv[w] & BIT(x)) == 0 -> \
       pr[x] = BALLOT(w); noteDurable(x); \
       ap[IX(w, x)] = true; app[IX(w, x)] = pp[w]; apb[IX(w, x)] = ab[x]; apv[IX(w, x)] = av[x]; apl[IX(w, x)] = ls[x] }

#define ACCEPT(w, x) \
  :: atomic { ph[w] == 2 && OPEN(w, x) && !aa[IX(w, x)] && (pv[w] & BIT(x)) == 0 -> \
       pr[x] = BALLOT(w); ab[x] = BALLOT(w); av[x] = val[w]; noteDurable(x); \
       aa[IX(w, x)] = true; aap[IX(w, x)] = pp[w]; aal[IX(w, x)] = ls[x] }

/* An answer arrives: one that was given before a loss that is bound counts for nothing. It may also never arrive. */
#define HEAR(w, x) if :: x == LOSER && wm > heard[w] -> heard[w] = wm :: else fi

#define PROMISED(w, x) \
  :: atomic { ap[IX(w, x)] -> \
       ap[IX(w, x)] = false; HEAR(w, x); \
       if \
       :: ph[w] == 1 && app[IX(w, x)] == pp[w] && apl[IX(w, x)] >= bound[IX(w, x)] -> \
            pv[w] = pv[w] | BIT(x); \
            if :: apb[IX(w, x)] > bb[w] -> bb[w] = apb[IX(w, x)]; bv[w] = apv[IX(w, x)] :: else fi \
       :: else \
       fi; \
       app[IX(w, x)] = 0; apb[IX(w, x)] = 0; apv[IX(w, x)] = 0; apl[IX(w, x)] = 0 }

#define ACCEPTED(w, x) \
  :: atomic { aa[IX(w, x)] -> \
       aa[IX(w, x)] = false; HEAR(w, x); \
       if \
       :: ph[w] == 2 && aap[IX(w, x)] == pp[w] && aal[IX(w, x)] >= bound[IX(w, x)] -> pv[w] = pv[w] | BIT(x) \
       :: else \
       fi; \
       aap[IX(w, x)] = 0; aal[IX(w, x)] = 0 }

/* A majority has promised: the highest accepted value, else the own one. A majority has accepted: chosen. */
#define PROCEED(w) \
  :: atomic { ph[w] == 1 && MAJ(pv[w]) -> \
       if :: bb[w] > 0 -> val[w] = bv[w] :: else fi; \
       ph[w] = 2; pv[w] = 0; bb[w] = 0; bv[w] = 0 } \
  :: atomic { ph[w] == 2 && MAJ(pv[w]) -> declare(w) }

#define LEARN(x, y) \
  :: atomic { ch[y] > ch[x] -> \
       cv[IX(x, 1)] = cv[IX(y, 1)]; cv[IX(x, 2)] = cv[IX(y, 2)]; ch[x] = ch[y]; forget(x); noteDurable(x); \
       if :: ph[x] != 3 && ph[x] != 0 && pp[x] <= ch[x] -> ph[x] = 0; pv[x] = 0 :: else fi }

/* P31: a second loss of the key before the first is repaired is not repaired by itself: who does not vote at its open
   position does not tell what the others hold at most. */
#ifdef SECOND_LOSS
#define MAYTELL(y) (!lrn[y])
#else
#define MAYTELL(y) (MAYVOTE(y, ch[y] + 1))
#endif
#define MAYLOSE(x) (losses < LOSSES && !lrn[x])

#if KIND == 3
#ifdef COUNTER_KEPT
#define COUNT(x) skip
#else
#define COUNT(x) ls[x]++
#endif
/* Of the process only what is about this key is lost; what it proposed is over. */
#define LOSE(x) \
  :: atomic { MAYLOSE(x) -> losses++; wipe(x); dieProposer(x); COUNT(x); beginRepair(x) }
#else
#define LOSE(x) \
  :: atomic { MAYLOSE(x) -> \
       losses++; wipe(x); dieProposer(x); ls[x]++; met[IX(x, 0)] = false; met[IX(x, 1)] = false; met[IX(x, 2)] = false; \
       beginRepair(x) }
#endif

/* P31, round one: a peer binds the loss, durably. Round two, when all have: a peer tells the highest index that it holds. */
#ifdef ONE_ROUND
#define REPAIR(x, y) \
  :: atomic { asks[x] && (polled[x] & BIT(y)) == 0 && MAYTELL(y) -> fence(y, x); poll(y, x) }
#else
#ifdef NO_FENCE
#define REPAIR(x, y) \
  :: atomic { asks[x] && (polled[x] & BIT(y)) == 0 && MAYTELL(y) -> fenced[x] = OTHERS(x); poll(y, x) }
#else
#define REPAIR(x, y) \
  :: atomic { asks[x] && (fenced[x] & BIT(y)) == 0 -> fence(y, x) } \
  :: atomic { asks[x] && fenced[x] == OTHERS(x) && (polled[x] & BIT(y)) == 0 && MAYTELL(y) -> poll(y, x) }
#endif
#endif

/* It votes again above what it was told, and the record that says so is durable. */
#ifdef POLL_MAJORITY
#define RESTORE(x) \
  :: atomic { asks[x] && fenced[x] == OTHERS(x) && polled[x] != 0 -> lrn[x] = false; asks[x] = false; vf[x] = top[x] + 1 }
#else
#ifdef RESTORE_VOLATILE
/* It votes on the strength of what is not written: when the process dies, the disk says nothing of these votes. */
#define RESTORE(x) \
  :: atomic { asks[x] && fenced[x] == OTHERS(x) && polled[x] == OTHERS(x) -> \
       lrn[x] = false; asks[x] = false; vf[x] = top[x] + 1; volatileVote[x] = true } \
  :: atomic { volatileVote[x] && (pr[x] > 0 || ab[x] > 0) -> volatileVote[x] = false; forget(x) }
#else
#define RESTORE(x) \
  :: atomic { asks[x] && fenced[x] == OTHERS(x) && polled[x] == OTHERS(x) -> \
       lrn[x] = false; asks[x] = false; vf[x] = top[x] + 1 }
#endif
#endif

/* A peer's process dies: what it counted is gone. What it has bound is not; its answers under way still arrive. */
#ifdef FENCE_VOLATILE
#define CRASH(y) \
  :: atomic { crashes < CRASHES -> crashes++; bound[IX(y, LOSER)] = 0 }
#else
#define CRASH(y) \
  :: atomic { crashes < CRASHES -> crashes++; dieProposer(y) }
#endif

active proctype World() {
  d_step {
    met[IX(0, 1)] = true; met[IX(0, 2)] = true; met[IX(1, 0)] = true;
    met[IX(1, 2)] = true; met[IX(2, 0)] = true; met[IX(2, 1)] = true;
  }
  do
  BEGIN(0)
  BEGIN(2)
  PROMISE(0, 0) PROMISE(0, 1) PROMISE(0, 2) PROMISE(2, 0) PROMISE(2, 1) PROMISE(2, 2)
  ACCEPT(0, 0) ACCEPT(0, 1) ACCEPT(0, 2) ACCEPT(2, 0) ACCEPT(2, 1) ACCEPT(2, 2)
  PROMISED(0, 0) PROMISED(0, 1) PROMISED(0, 2) PROMISED(2, 0) PROMISED(2, 1) PROMISED(2, 2)
  ACCEPTED(0, 0) ACCEPTED(0, 1) ACCEPTED(0, 2) ACCEPTED(2, 0) ACCEPTED(2, 1) ACCEPTED(2, 2)
  PROCEED(0)
  PROCEED(2)
  LEARN(0, 1) LEARN(0, 2) LEARN(1, 0) LEARN(1, 2) LEARN(2, 0) LEARN(2, 1)
#if KIND == 2
  /* Somebody makes a copy of the loser's disk, and it comes back when the disk holds more. */
  :: atomic { !hasCopy && losses < LOSSES ->
       hasCopy = true; cch = ch[LOSER]; cpr = pr[LOSER]; cab = ab[LOSER]; cav = av[LOSER];
       ccv1 = cv[IX(LOSER, 1)]; ccv2 = cv[IX(LOSER, 2)]; cwm = wm }
  :: atomic { hasCopy && losses < LOSSES && cwm < wm ->
       losses++; hasCopy = false;
       ch[LOSER] = cch; pr[LOSER] = cpr; ab[LOSER] = cab; av[LOSER] = cav;
       cv[IX(LOSER, 1)] = ccv1; cv[IX(LOSER, 2)] = ccv2; wm = cwm;
#ifndef WATERMARK_IGNORED
       /* All others are asked what they have heard (P29). Who restores what nobody heard of loses answers that are under way. */
       if
       :: heard[0] > wm || heard[2] > wm -> ls[LOSER]++; beginRepair(LOSER)
       :: else
       fi;
#endif
       ap[IX(0, LOSER)] = false; ap[IX(2, LOSER)] = false; aa[IX(0, LOSER)] = false; aa[IX(2, LOSER)] = false;
       cch = 0; cpr = 0; cab = 0; cav = 0; ccv1 = 0; ccv2 = 0; cwm = 0 }
#else
  LOSE(1)
#ifdef SECOND
  LOSE(0)
#endif
#endif
#if KIND == 4
  /* Birth (P29): an empty disk votes at once if all others have never bound one of that replica; else it repairs itself. */
#ifdef BIRTH_BY_MAJORITY
  :: atomic { asks[LOSER] && fenced[LOSER] == 0 && (!met[IX(0, LOSER)] || !met[IX(2, LOSER)]) ->
#else
  :: atomic { asks[LOSER] && fenced[LOSER] == 0 && !met[IX(0, LOSER)] && !met[IX(2, LOSER)] ->
#endif
       lrn[LOSER] = false; asks[LOSER] = false }
  /* Another replica was replaced before anything happened to this key, and has not met the loser since. */
  :: atomic { met[IX(2, LOSER)] && losses == 0 && wm == 0 && heard[2] == 0 -> met[IX(2, LOSER)] = false }
#endif
  REPAIR(1, 0) REPAIR(1, 2)
  RESTORE(1)
#ifdef SECOND
  REPAIR(0, 1) REPAIR(0, 2)
  RESTORE(0)
#endif
#if CRASHES > 0
  CRASH(0) CRASH(2)
#endif
  od
}
