/*
 * The protocol of docs/protocol.md for one key and three replicas, as a model for Spin: class zero by the named leader, for
 * itself or for another (Submit), two phases with ballots, promises and accepts that a crash forgets until they are durable,
 * and a strong read by the states of a majority. It knows no bytes, no timers and no lists of requests longer than the
 * scope. The one idea: messages are sets that only grow, so each may be received never, once, often and in any order.
 *
 * Sizes of a scope, by -D: POSITIONS, COUNTERS (ordinary ballots a replica may use at a position), CRASHES in all, CRASHOF and
 * PREPAREOF (bit sets of replicas), WRITES (bit set of replicas whose client writes), READER (who reads; 3 = nobody).
 * Weakened variants, by -D: see the README beside.
 */
#ifndef POSITIONS
#define POSITIONS 2
#endif
#ifndef COUNTERS
#define COUNTERS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef CRASHOF
#define CRASHOF 7
#endif
#ifndef PREPAREOF
#define PREPAREOF 7
#endif
#ifndef WRITES
#define WRITES 3
#endif
#ifndef READER
#define READER 2
#endif

#define N 3
#define INCARNATIONS (CRASHES + 1)
/* Ballots in rising order: 0 none; class zero of each incarnation; ordinary ones by counter, replica, incarnation. */
#define ZERO(i) (i)
#define ORDINARY(c, x, i) (INCARNATIONS + (((c) - 1) * N + (x)) * INCARNATIONS + (i))
#define IS_ZERO(b) ((b) > 0 && (b) <= INCARNATIONS)
#define BALLOTS (INCARNATIONS * (1 + N * COUNTERS) + 1)
#if BALLOTS > 9
#error the receiving of so many ballots is not written out below
#endif
#define AT(p, b) (((p) - 1) * BALLOTS + (b))
#define HAS(set, x) (((set) >> (x)) & 1)
#define MAJORITY(set) ((set) == 3 || (set) == 5 || (set) == 6 || (set) == 7)

/* Entry e is the write of replica e - 1's client; its proposer is the next leader (P17). Index 1 is led by replica 0. */
#define LEADER(e) ((e) == 0 -> 0 : (e) - 1)

#define IDLE 0
#define WAITS 1
#define FAST 2
#define PREPARING 3
#define ACCEPTING 4
#define DONE 5

/* A replica in memory, and what of it is durable: newest chosen index, and the position above it (section 2). */
typedef Replica {
  byte chosen; byte entry; byte promised; byte accepted; byte value;
  byte dChosen; byte dEntry; byte dPromised; byte dAccepted; byte dValue;
  bit unflushed;
  byte incarnation;
  byte zeroAt;      /* P7: highest position at which class zero was given away */
  byte phase;       /* of its client's write */
  byte ballot;
  byte proposal;
  byte low;         /* acknowledged before its client's write began */
  byte counter      /* highest own counter used at position counterAt */
};
Replica r[N];

/* The soup, by position and ballot. */
bit prepares[POSITIONS * BALLOTS + 1];
byte accepts[POSITIONS * BALLOTS + 1];     /* the entry, 0: not sent */
byte votes[POSITIONS * BALLOTS + 1];       /* who says that it has accepted */
byte promises[(POSITIONS * BALLOTS + 1) * N]; /* 0: none; else 1 + accepted ballot * 4 + its entry */
byte submits[POSITIONS + 1];               /* bit e: entry e was submitted */

/* Ghosts: what is chosen, what was declared so by a proposer, what clients were told. */
byte holds[POSITIONS * BALLOTS + 1];       /* whose disks hold the accept */
byte fact[POSITIONS + 2];
bit declared[POSITIONS + 2];
byte acknowledged;
byte crashes;

/* The reader: its samples of the replicas (P18). */
byte readPhase;
byte readLow;
byte sampled;
byte sChosen[N];
byte sAccepted[N];

#define OPEN(x) (r[x].chosen + 1)

/* The disk of x holds what x has accepted: one entry per ballot, and a majority makes it chosen (P5, P9). */
#define VOTED AT(OPEN(x), r[x].accepted)
inline noteHeld(x) {
  assert(accepts[VOTED] == r[x].value);                           /* ONE BALLOT, TWO ENTRIES */
  holds[VOTED] = holds[VOTED] | (1 << x);
  if
  :: MAJORITY(holds[VOTED]) && (!IS_ZERO(r[x].accepted) || HAS(holds[VOTED], LEADER(r[x].entry))) ->
     assert(fact[OPEN(x)] == 0 || fact[OPEN(x)] == r[x].value);    /* AGREEMENT */
     fact[OPEN(x)] = r[x].value
  :: else
  fi
}

inline makeDurable(x) {
  assert(r[x].chosen >= r[x].dChosen);                           /* P24 */
  assert(r[x].chosen > r[x].dChosen || (r[x].promised >= r[x].dPromised && r[x].accepted >= r[x].dAccepted)); /* P1, P5 */
  r[x].dChosen = r[x].chosen; r[x].dEntry = r[x].entry;
  r[x].dPromised = r[x].promised; r[x].dAccepted = r[x].accepted; r[x].dValue = r[x].value;
  r[x].unflushed = 0;
  if
  :: r[x].accepted > 0 -> noteHeld(x)
  :: else
  fi
}

/* The newest chosen entry moves on by one; what stood at that position has lost its meaning. In memory only (P13). */
inline advance(x) {
  r[x].chosen = r[x].chosen + 1;
  r[x].entry = fact[r[x].chosen];
  assert(r[x].entry != 0);                                       /* what is taken as chosen is chosen */
  r[x].promised = 0; r[x].accepted = 0; r[x].value = 0; r[x].counter = 0;
  if
  :: r[x].phase >= WAITS && r[x].phase <= ACCEPTING && r[x].entry == x + 1 ->
     r[x].phase = DONE;                                          /* P14: it is in the list */
     assert(r[x].chosen > r[x].low);                             /* a write lands above what was acknowledged */
     if :: acknowledged < r[x].chosen -> acknowledged = r[x].chosen :: else fi
  :: r[x].phase > WAITS && r[x].phase <= ACCEPTING && r[x].entry != x + 1 ->
     r[x].phase = WAITS; r[x].ballot = 0; r[x].proposal = 0      /* proposed again on the new base */
  :: else
  fi
}

#define UNTOUCHED(x) (r[x].promised == 0 && r[x].accepted == 0)
#ifdef ZERO_TWICE
#define MAY_ZERO(x) (LEADER(r[x].entry) == x && (r[x].promised == 0 || IS_ZERO(r[x].promised)))
#else
#define MAY_ZERO(x) (LEADER(r[x].entry) == x && UNTOUCHED(x) && r[x].zeroAt < OPEN(x))
#endif

/* P7, P8: the own accept is on its way to the disk, the messages leave at once. */
inline giveZero(x, e) {
  r[x].zeroAt = OPEN(x);
  r[x].promised = ZERO(r[x].incarnation);
  r[x].accepted = ZERO(r[x].incarnation);
  r[x].value = e;
  r[x].unflushed = 1;
  assert(accepts[AT(OPEN(x), r[x].accepted)] == 0 || accepts[AT(OPEN(x), r[x].accepted)] == e);
  accepts[AT(OPEN(x), r[x].accepted)] = e
}

/* P2: what was said to others is said again, or for the first time, once it is durable. */
inline sayDurable(x) {
  if
  :: r[x].accepted > 0 -> votes[AT(OPEN(x), r[x].accepted)] = votes[AT(OPEN(x), r[x].accepted)] | (1 << x)
  :: else
  fi;
  if
  :: r[x].phase == PREPARING && r[x].promised == r[x].ballot ->
     promises[AT(OPEN(x), r[x].ballot) * N + x] = 1 + r[x].accepted * 4 + r[x].value
  :: else
  fi
}

/* P1: x promises ballot b of somebody else at position p. The record and the answer are one step: a crash before it is a
 * lost message, a crash after it a lost answer. */
inline promise(x, p, b) {
  r[x].promised = b;
#ifdef PROMISE_NOT_DURABLE
  r[x].unflushed = 1;
#else
  makeDurable(x);
#endif
#ifdef ACCEPTED_NOT_TOLD
  promises[AT(p, b) * N + x] = 1
#else
  promises[AT(p, b) * N + x] = 1 + r[x].accepted * 4 + r[x].value
#endif
}

#ifdef ZERO_OVERWRITES
#define GRANTS(x, b) (b >= r[x].promised)
#else
#define GRANTS(x, b) ((!IS_ZERO(b) && b >= r[x].promised) || (IS_ZERO(b) && UNTOUCHED(x)))
#endif

/* P1, P3: x accepts entry e at ballot b. */
inline acceptIt(x, p, b, e) {
  r[x].promised = b; r[x].accepted = b; r[x].value = e;
#ifdef ACCEPT_NOT_DURABLE
  r[x].unflushed = 1;
#else
  makeDurable(x);
#endif
  votes[AT(p, b)] = votes[AT(p, b)] | (1 << x)
}

/* P11: the accepted entry with the highest ballot among the answers of q, else the own one. */
inline startAccept(x, q) {
  best = 0;
  if :: HAS(q, 0) && promises[AT(OPEN(x), r[x].ballot) * N] > best -> best = promises[AT(OPEN(x), r[x].ballot) * N] :: else fi;
  if :: HAS(q, 1) && promises[AT(OPEN(x), r[x].ballot) * N + 1] > best -> best = promises[AT(OPEN(x), r[x].ballot) * N + 1] :: else fi;
  if :: HAS(q, 2) && promises[AT(OPEN(x), r[x].ballot) * N + 2] > best -> best = promises[AT(OPEN(x), r[x].ballot) * N + 2] :: else fi;
  if
  :: best > 1 -> r[x].proposal = (best - 1) % 4
  :: else -> r[x].proposal = x + 1
  fi;
  best = 0;
  r[x].phase = ACCEPTING;
  assert(accepts[AT(OPEN(x), r[x].ballot)] == 0 || accepts[AT(OPEN(x), r[x].ballot)] == r[x].proposal);
  accepts[AT(OPEN(x), r[x].ballot)] = r[x].proposal;
  if
  :: r[x].ballot >= r[x].promised ->
     r[x].promised = r[x].ballot; r[x].accepted = r[x].ballot; r[x].value = r[x].proposal; r[x].unflushed = 1
  :: else
  fi
}

#define PROMISED(x, y) (promises[AT(OPEN(x), r[x].ballot) * N + (y)] > 0)
#ifdef ZERO_WITHOUT_LEADER
#define DECIDES(x, b) MAJORITY(votes[AT(OPEN(x), b)])
#else
#define DECIDES(x, b) (MAJORITY(votes[AT(OPEN(x), b)]) && (!IS_ZERO(b) || HAS(votes[AT(OPEN(x), b)], LEADER(r[x].entry))))
#endif

/* P13: a majority has voted for what x proposed at ballot b. */
inline declare(x, b) {
  assert(fact[OPEN(x)] == accepts[AT(OPEN(x), b)]);              /* declared only what is chosen */
  declared[OPEN(x)] = 1;
  advance(x)
}

/* A prepare or an accept for position p at ballot b arrives at one who holds the entry below as chosen (P4); who does not hears
 * of it first, which is an act of its own below. */
#define AT_BASE(p) (!r[x].unflushed && r[x].chosen == p - 1)
#define RECEIVE(p, b) \
  :: atomic { prepares[AT(p, b)] && promises[AT(p, b) * N + x] == 0 && AT_BASE(p) && b > r[x].promised -> promise(x, p, b) } \
  :: atomic { accepts[AT(p, b)] > 0 && AT_BASE(p) && GRANTS(x, b) && r[x].accepted != b -> acceptIt(x, p, b, accepts[AT(p, b)]) }

proctype Server(byte x) {
  byte own, best;
  do
  /* A client asks. */
  :: atomic { r[x].phase == IDLE && HAS(WRITES, x) -> r[x].phase = WAITS; r[x].low = acknowledged }
  /* P7: class zero for the own client, or for what another has submitted. */
  :: atomic { r[x].phase == WAITS && OPEN(x) <= POSITIONS && !r[x].unflushed && MAY_ZERO(x) ->
       giveZero(x, x + 1); r[x].phase = FAST; r[x].ballot = r[x].accepted; r[x].proposal = x + 1 }
  :: atomic { OPEN(x) <= POSITIONS && !r[x].unflushed && MAY_ZERO(x) && submits[OPEN(x)] > 0 ->
       if
       :: HAS(submits[OPEN(x)], 1) -> giveZero(x, 1)
       :: HAS(submits[OPEN(x)], 2) -> giveZero(x, 2)
       :: HAS(submits[OPEN(x)], 3) -> giveZero(x, 3)
       fi }
  :: atomic { r[x].phase == WAITS && OPEN(x) <= POSITIONS && LEADER(r[x].entry) != x && UNTOUCHED(x) ->
       submits[OPEN(x)] = submits[OPEN(x)] | (1 << (x + 1));
       r[x].phase = FAST; r[x].ballot = 0; r[x].proposal = x + 1 }
  /* P10 to P12: two phases, from anywhere, above everything known. */
  :: atomic { r[x].phase >= WAITS && r[x].phase <= ACCEPTING && OPEN(x) <= POSITIONS && HAS(PREPAREOF, x) && r[x].counter < COUNTERS &&
         ORDINARY(r[x].counter + 1, x, r[x].incarnation) > r[x].promised ->
       r[x].counter = r[x].counter + 1;
       r[x].ballot = ORDINARY(r[x].counter, x, r[x].incarnation);
       r[x].promised = r[x].ballot; r[x].unflushed = 1; r[x].phase = PREPARING; r[x].proposal = 0;
       prepares[AT(OPEN(x), r[x].ballot)] = 1 }
  :: atomic { r[x].phase == PREPARING && PROMISED(x, 0) && PROMISED(x, 1) -> startAccept(x, 3) }
  :: atomic { r[x].phase == PREPARING && PROMISED(x, 0) && PROMISED(x, 2) -> startAccept(x, 5) }
  :: atomic { r[x].phase == PREPARING && PROMISED(x, 1) && PROMISED(x, 2) -> startAccept(x, 6) }
  :: atomic { r[x].phase == PREPARING && PROMISED(x, 0) && PROMISED(x, 1) && PROMISED(x, 2) -> startAccept(x, 7) }
  /* P9, P11: counted. A submitter counts the votes of each incarnation of the leader apart. */
  :: atomic { (r[x].phase == ACCEPTING || (r[x].phase == FAST && r[x].ballot > 0)) && DECIDES(x, r[x].ballot) ->
       own = r[x].ballot; declare(x, own); own = 0 }
  :: atomic { r[x].phase == FAST && r[x].ballot == 0 && accepts[AT(OPEN(x), ZERO(1))] == x + 1 && DECIDES(x, ZERO(1)) ->
       own = ZERO(1); declare(x, own); own = 0 }
#if CRASHES > 0
  :: atomic { r[x].phase == FAST && r[x].ballot == 0 && accepts[AT(OPEN(x), ZERO(2))] == x + 1 && DECIDES(x, ZERO(2)) ->
       own = ZERO(2); declare(x, own); own = 0 }
#endif
  /* P4, P13, P26: word of what was declared, by a mark, as a base or on its own. In memory only. */
  :: atomic { r[x].chosen < POSITIONS && declared[OPEN(x)] -> advance(x) }
  /* P2: the flush. */
  :: atomic { r[x].unflushed -> makeDurable(x); sayDurable(x) }
  /* Messages of others, any that was ever sent. */
  RECEIVE(1, 1) RECEIVE(1, 2) RECEIVE(1, 3) RECEIVE(1, 4)
#if BALLOTS > 5
  RECEIVE(1, 5) RECEIVE(1, 6) RECEIVE(1, 7)
#endif
#if BALLOTS > 8
  RECEIVE(1, 8)
#endif
#if POSITIONS > 1
  RECEIVE(2, 1) RECEIVE(2, 2) RECEIVE(2, 3) RECEIVE(2, 4)
#if BALLOTS > 5
  RECEIVE(2, 5) RECEIVE(2, 6) RECEIVE(2, 7)
#endif
#if BALLOTS > 8
  RECEIVE(2, 8)
#endif
#endif
  /* A crash: what is not durable is gone, and with it the client. */
  :: atomic { crashes < CRASHES && HAS(CRASHOF, x) &&
         (r[x].unflushed || r[x].chosen != r[x].dChosen || r[x].phase > WAITS || r[x].zeroAt > 0) ->
       crashes++;
       r[x].chosen = r[x].dChosen; r[x].entry = r[x].dEntry;
       r[x].promised = r[x].dPromised; r[x].accepted = r[x].dAccepted; r[x].value = r[x].dValue;
       r[x].unflushed = 0; r[x].zeroAt = 0; r[x].counter = 0; r[x].ballot = 0; r[x].proposal = 0;
       if :: r[x].phase >= WAITS && r[x].phase <= ACCEPTING -> r[x].phase = DONE :: else fi;
#ifndef INCARNATION_KEPT
       r[x].incarnation = r[x].incarnation + 1;
#endif
       if :: x == READER && readPhase == 1 -> readPhase = 2 :: else fi }
  od
}

/* What counts at c + 1 among the samples: a replica that is behind holds nothing there (P4). */
#define SAMPLE_HOLDS(x, c) (HAS(sampled, x) && sChosen[x] == c && sAccepted[x] > 0)
#ifdef READ_IGNORES_ACCEPTED
#define HELD(c) 0
#else
#define HELD(c) (SAMPLE_HOLDS(0, c) + SAMPLE_HOLDS(1, c) + SAMPLE_HOLDS(2, c))
#endif
#define SAMPLES (HAS(sampled, 0) + HAS(sampled, 1) + HAS(sampled, 2))
#define SAME(x, y, c) (SAMPLE_HOLDS(x, c) && SAMPLE_HOLDS(y, c) && sAccepted[x] == sAccepted[y])
#ifdef READ_ZERO_WITHOUT_LEADER
#define COUNTS(x, y, c) SAME(x, y, c)
#else
#define COUNTS(x, y, c) (SAME(x, y, c) && (!IS_ZERO(sAccepted[x]) || LEADER(fact[c]) == x || LEADER(fact[c]) == y))
#endif

inline answerRead(c) {
  assert(c >= readLow);                                          /* STALE READ */
  assert(c == 0 || fact[c] != 0);                                /* what is read is chosen */
  if :: acknowledged < c -> acknowledged = c :: else fi;
  readPhase = 2; sampled = 0; readLow = 0;
  sChosen[0] = 0; sChosen[1] = 0; sChosen[2] = 0;
  sAccepted[0] = 0; sAccepted[1] = 0; sAccepted[2] = 0
}

inline sample(y) {
  sampled = sampled | (1 << y);
  sChosen[y] = r[y].chosen;
  /* P2, P18: an accept is shown once it is durable. */
  sAccepted[y] = (r[y].dChosen == r[y].chosen -> r[y].dAccepted : 0)
}

/* P18 to P20. */
proctype Reader() {
  byte top;
  do
  :: atomic { readPhase == 0 -> readPhase = 1; readLow = acknowledged }
  :: atomic { readPhase == 1 && !HAS(sampled, 0) -> sample(0) }
  :: atomic { readPhase == 1 && !HAS(sampled, 1) -> sample(1) }
  :: atomic { readPhase == 1 && !HAS(sampled, 2) -> sample(2) }
  :: atomic { readPhase == 1 && SAMPLES >= 2 ->
       top = 0;
       if :: HAS(sampled, 0) && sChosen[0] > top -> top = sChosen[0] :: else fi;
       if :: HAS(sampled, 1) && sChosen[1] > top -> top = sChosen[1] :: else fi;
       if :: HAS(sampled, 2) && sChosen[2] > top -> top = sChosen[2] :: else fi;
       if
       :: SAMPLES - HELD(top) >= 2 -> answerRead(top)
       :: SAMPLES - HELD(top) < 2 && (COUNTS(0, 1, top) || COUNTS(0, 2, top) || COUNTS(1, 2, top)) -> answerRead(top + 1)
       :: else
       fi;
       top = 0 }
  od
}

init {
  atomic {
    r[0].incarnation = 1; r[1].incarnation = 1; r[2].incarnation = 1;
    run Server(0); run Server(1); run Server(2);
#if READER < 3
    run Reader()
#endif
  }
}
