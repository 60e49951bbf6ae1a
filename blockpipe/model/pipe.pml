/* pipe.pml: one pipe from arrival to verdict, with kills, replacement and resume.
 *
 * NP processes run the same command.  One file per pairing, three locks on it:
 * G (gate), R (Reader's seat), W (Writer's seat).  On the disk: a destination,
 * a temporary file with a lock of its own, a journal beside it.  A process may
 * be killed before any step, at most CRASH times in a run; the kernel then drops
 * the locks of the dead process one by one, in any order (Linux drops them at
 * once: the model is harsher).  Every STEP is one access to shared state.
 *
 * Parameters (defaults in brackets)
 *   NP       processes [3]          CRASH   kills, anywhere [1]
 *   K        blocks of the file [2] N       slots of the ring [1]
 *   REPLACE  1: a survivor waits for a replacement, 0: it gives up,
 *            2: each process may do either, 3: every other process waits [1]
 *   PATIENT  1: it gives up only when no other process is left to come,
 *            0: it may give up at any time [1]
 *   PRE      1: the disk may hold anything that dead pairs can have left [0]
 *   JOURNAL  1: the Writer may record its position after any block,
 *            0: it records the intent only [1]
 *   FRESH    1: a Writer may refuse to resume (--no-resume) [0]
 *   DISCARD  an aborted Writer removes its temporary file: 1: always, 2: or not [0]
 *   JOBS     2: each process has one of two tags, each with its own source [1]
 *   ROLES    1: each process may request a role, Reader or Writer, or take any;
 *            2: all request one (not all the same) [0]
 *   DEADLINE 1: a process that waits for a lock or a leaving pair may time out [0]
 *   CANCEL   number of orderly cancels (Ctrl-C), by either side, at any wait [0]
 *   FAIL     how often the source cannot be opened [0]
 *   OTHER    another pipe with the same destination, while nobody holds the lock
 *            of the temporary file: 1: removes it, 2: and commits its own,
 *            3: resumes it, step by step, and may die at any of them [0]
 *   EDIT     a stranger changes the destination: 1: writes to it, 2: removes it [0]
 *   FOREIGN  how often a stranger removes the pipe's name [0]
 *   CHANGE   the source is replaced by another version once [0]
 *   SWEEP    how often newcomers of other names remove what killed pairs left [0]
 *   REPEAT   1: processes that come after a complete copy copy it again [0]
 *   POWER    1: a power failure while no process runs: unsynced data is lost [0]
 *   REUSE    1: an inode number may be reused while the journal names it [0]
 *   NI       number of pipe files [NP]       NT   number of disk files plus one [6]
 * Negative controls: -DBAD_..., listed in README.md, each of which must fail.
 */
#ifndef NP
#define NP 3
#endif
#ifndef CRASH
#define CRASH 1
#endif
#ifndef K
#define K 2
#endif
#ifndef N
#define N 1
#endif
#ifndef REPLACE
#define REPLACE 1
#endif
#ifndef PATIENT
#define PATIENT 1
#endif
#ifndef CANCEL
#define CANCEL 0
#endif
#ifndef FAIL
#define FAIL 0
#endif
#ifndef OTHER
#define OTHER 0
#endif
#ifndef FOREIGN
#define FOREIGN 0
#endif
#ifndef CHANGE
#define CHANGE 0
#endif
#ifndef SWEEP
#define SWEEP 0
#endif
#ifndef PRE
#define PRE 0
#endif
#ifndef JOURNAL
#define JOURNAL 1
#endif
#ifndef FRESH
#define FRESH 0
#endif
#ifndef DISCARD
#define DISCARD 0
#endif
#ifndef JOBS
#define JOBS 1
#endif
#ifndef ROLES
#define ROLES 0
#endif
#ifndef DEADLINE
#define DEADLINE 0
#endif
#ifndef EDIT
#define EDIT 0
#endif
#ifndef POWER
#define POWER 0
#endif
#ifndef REUSE
#define REUSE 0
#endif
#ifndef REPEAT
#define REPEAT (JOBS > 1)
#endif
#ifndef NI
#define NI NP
#endif
#ifndef NT
#define NT 6
#endif

#define NONE 255
#define STRANGE 200             /* a destination that a stranger put there */
#define GARBAGE 250             /* a block that belongs to no source */
#define WRONG 99                /* a checksum that no correct copy can have */
/* state */
#define OVER    0               /* or never used */
#define OPENING 1
#define READY   2
/* verdict: one word, moved by compare-and-set only */
#define UNDECIDED  0
#define COMMITTING 1
#define COMPLETE   2
#define ABORTED    3            /* this pairing did not change the destination */
#define UNKNOWN    4            /* committing, and neither file shows the result: only where strangers interfere */

typedef File {
  /* the kernel's part */
  bool linked; byte refs;
  byte G; byte R; byte W;       /* lock owners, 0 = free */
  /* the header */
  byte gen; byte state; byte job;
  byte source;                  /* identity of the source, stored before READY */
  bool radmits; bool wadmits;   /* the holder of this seat waits for a replacement of the other */
  byte filled; byte rsum[2]; byte rpos[2];    /* written by the Reader only */
  byte closing; byte csum;      /* length + 1, checksum; Reader only */
  byte emptied; byte wsum[2]; byte wpos[2];   /* written by the Writer only */
  byte temp;                    /* identity of the temporary file; Writer only; not 0 = begun */
  byte verdict;
#ifdef BAD_SPLIT_INTENT
  byte intent;
#endif
  /* the blocks and their descriptors */
  byte data[N]; byte off[N];
#ifdef BAD_SLOT_SUM
  byte ssum[N];
#endif
  /* not in the program, only for the properties */
  bool dead;                    /* a process held the gate and saw both seats free */
  byte said;                    /* the verdict that has been reported */
  byte readers; byte writers;   /* living processes in the role */
  bool renamed;                 /* a Writer of this pairing renamed */
  bool good;                    /* during this pairing the destination was seen to be a complete, correct copy */
};
File I[NI];
byte name = NONE;               /* the file that the pipe's name points to */

/* the disk: files by identity, 1 .. NT-1 */
typedef Disk {
  byte b[K];                    /* block k is correct when it is BLOCK(k, source) */
  byte lock; byte opens;
  bool edited;                  /* its modification time is not the one that the Writer set */
#if POWER
  byte synced;                  /* bit k: block k survives a power failure */
#endif
};
Disk D[NT];
byte tmpid = 0;                 /* identity of the file with the temporary name, 0 = none */
byte dstid = 0;                 /* identity of the destination, 0 = the old file */
/* the journal, replaced as a whole in one step; jid 0 = there is none */
byte jid = 0; byte jsrc = 0; byte jpos = 0; byte jsum = 0;
#if POWER
bool unsynced = 0; byte olddst = 0;   /* the rename is not on the disk yet */
#endif
byte srcver = 0;                /* the current version of the source */

bool waits[NP + 1];             /* --replace-within of each process */
byte wish[NP + 1];              /* the role that it requests; 0 = any */
byte left[3];                   /* processes that have not ended, by requested role */
byte asked[3]; byte lost[3];    /* processes by requested role: all, and those that were killed */
byte kills = 0; byte cancels = 0; byte fails = 0; byte ended = 0;
bool complete = false;          /* some generation ended complete */

#define F I[f]
#define SUM(s,b) (((b) == (s)+1) -> (s)+1 : WRONG)    /* order matters, as in a CRC */
#define BLOCK(k,v) ((k) + 1 + 50 * (v))
#define NUMBER(b) ((b) % 50)

/* one step, or the kill before it */
#if CRASH
#define STEP(...) atomic { if :: __VA_ARGS__ :: kills < CRASH -> kills++; goto killed fi }
#else
#define STEP(...) atomic { __VA_ARGS__ }
#endif
/* unlinkat removes whatever the name points to */
#define UNLINK if :: name != NONE -> I[name].linked = 0; name = NONE :: else fi
/* no other process is left that could take this role */
#define NOBODY(r) (left[0] + left[r] == (wish[me] == 0 || wish[me] == r))
#define LEFT_ALONE (!PATIENT || NOBODY(3 - role))
/* the state of a pairing that a newcomer can see */
#define SEEN(i) (I[i].state + 4 * (I[i].temp != 0) + 8 * I[i].radmits + 16 * I[i].wadmits + 32 * (I[i].verdict >= COMPLETE))

/* what the kernel does when the last descriptor of an unlinked file is closed */
inline wipe(i) {
  d_step {
    I[i].gen = 0; I[i].state = 0; I[i].job = 0; I[i].source = 0; I[i].radmits = 0; I[i].wadmits = 0;
    I[i].filled = 0; I[i].rsum[0] = 0; I[i].rsum[1] = 0; I[i].rpos[0] = 0; I[i].rpos[1] = 0;
    I[i].closing = 0; I[i].csum = 0;
    I[i].emptied = 0; I[i].wsum[0] = 0; I[i].wsum[1] = 0; I[i].wpos[0] = 0; I[i].wpos[1] = 0;
    I[i].temp = 0; I[i].verdict = 0; I[i].dead = 0; I[i].said = 0; I[i].renamed = 0; I[i].good = 0;
#ifdef BAD_SPLIT_INTENT
    I[i].intent = 0;
#endif
    k = 0; do :: k < N -> I[i].data[k] = 0; I[i].off[k] = 0;
#ifdef BAD_SLOT_SUM
      I[i].ssum[k] = 0;
#endif
      k++ :: else -> break od; k = 0
  }
}
inline closefile() {
  F.refs--;
  if :: F.refs == 0 && !F.linked -> wipe(f) :: else fi;
  f = NONE
}
/* a file on the disk that has neither a name nor an open descriptor is gone */
inline gone_if_unused(i) {
  if
  :: i != 0 && i < NT && tmpid != i && dstid != i && D[i].opens == 0 ->
     k = 0; do :: k < K -> D[i].b[k] = 0; k++ :: else -> break od; k = 0; D[i].edited = 0;
#if POWER
     D[i].synced = 0
#endif
  :: else
  fi
}
inline opentemp() { fd = tmpid; D[fd].opens++ }
inline closetemp() {
  if :: D[fd].lock == me -> D[fd].lock = 0 :: else fi;
  D[fd].opens--; gone_if_unused(fd); fd = 0
}
/* unlinkat of the temporary name */
inline removetemp() {
#ifndef BAD_REMOVE_UNLOCKED
  assert(D[fd].lock == me && tmpid == fd);       /* only by the lock's holder, and only the file that it locked */
#endif
  tmpid = 0
}
inline renametemp() {
  o = dstid;
#if POWER
  unsynced = 1; olddst = o;
#endif
  dstid = tmpid; tmpid = 0; gone_if_unused(o); o = 0
}
#define NO_JOURNAL jid = 0; jsrc = 0; jpos = 0; jsum = 0
#if POWER
#define SYNC D[fd].synced = D[fd].synced | (1 << p) - 1
#else
#define SYNC skip
#endif
/* the temporary file that I hold can be resumed */
#ifdef BAD_OTHER_FILE
#define RESUMABLE(v) (jid != 0 && jsrc == v)
#elif defined(BAD_OTHER_SOURCE)
#define RESUMABLE(v) (jid == fd)
#else
#define RESUMABLE(v) (jid == fd && jsrc == v)
#endif
/* the destination is the finished file of an earlier pairing */
#ifdef BAD_NO_TIME
#define DONE(v) (jid != 0 && jid == dstid && jpos == K && jsrc == v)
#else
#define DONE(v) (jid != 0 && jid == dstid && jpos == K && jsrc == v && !D[dstid].edited)
#endif
/* a free identity: the smallest that is recorded nowhere */
inline freshid() {
  d_step {
    id = 1;
    do
    :: k = 0; b = 0;
       do :: k < NI -> if :: I[k].temp == id -> b = 1 :: else fi; k++ :: else -> break od;
       if :: b || dstid == id || tmpid == id || D[id].opens > 0 || (!REUSE && jid == id) -> id++; assert(id < NT) :: else -> break fi
    od;
    k = 0; b = 0
  }
}
inline right(i, to, v) {        /* the first blocks are of one version, at their offsets */
  d_step {
    k = 0;
    do :: k < to -> assert(D[i].b[k] == BLOCK(k, v)); k++ :: else -> break od;
    k = 0
  }
}
/* a new generation in the header; under G, both seats free, nobody attached */
inline newheader() {
  d_step {
    assert(F.readers == 0 && F.writers == 0);    /* nobody is attached to the file that is reset */
    assert(F.gen == 0);
    F.state = OPENING; F.job = job;
    if :: wish[me] == 2 -> F.wadmits = waits[me] :: else -> F.radmits = waits[me] fi;
    F.source = 0; F.filled = 0; F.rsum[0] = 0; F.rsum[1] = 0; F.closing = 0; F.csum = 0;
    F.emptied = 0; F.wsum[0] = 0; F.wsum[1] = 0; F.temp = 0; F.verdict = UNDECIDED; F.dead = 0; F.said = 0;
    F.renamed = 0; F.good = 0;
    F.gen = 1;
#ifdef BAD_SPLIT_INTENT
    F.intent = 0;
#endif
  }
}
inline alone() {                /* one name, one file in use, unless strangers unlink */
  d_step {
    k = 0;
    do :: k < NI -> assert(FOREIGN || k == f || (I[k].readers == 0 && I[k].writers == 0)); k++ :: else -> break od;
    k = 0
  }
}
inline say(x) {
  assert(x == COMPLETE && F.good && F.closing != 0
      || x == ABORTED && !F.renamed
      || x == UNKNOWN && (OTHER == 1 || OTHER == 2 || EDIT || FOREIGN));
  assert(F.said == 0 || F.said == x); F.said = x
}
#ifdef BAD_SPLIT_INTENT
#define INTENT F.intent
#else
#define INTENT (F.verdict == COMMITTING)
#endif
#define DECIDED (F.verdict >= COMPLETE)
#if ROLES == 2
#define ENOUGH (REPLACE == 1 && lost[1] < asked[1] && lost[2] < asked[2])
#elif ROLES
#define ENOUGH 0                /* a process that could take either role may have waited in vain in one of them */
#else
#define ENOUGH (NP >= 2 + (REPLACE == 1 -> kills : 2 * kills))
#endif
/* how a survivor resolves an intent: it checks the temporary name, then the destination */
#define AT_DESTINATION if :: F.good :: else -> right(dstid, K, F.source); F.good = 1 fi
#ifdef BAD_NO_LOOK
#define LOOK1 look = ABORTED
#define LOOK2 skip
#elif defined(BAD_LOOK_DESTINATION_FIRST)
#define LOOK1 if :: INTENT && dstid == F.temp -> AT_DESTINATION; look = COMPLETE \
                 :: INTENT && dstid != F.temp -> look = UNKNOWN :: else -> look = ABORTED fi
#define LOOK2 if :: look == UNKNOWN && tmpid == F.temp -> look = ABORTED :: else fi
#else
#define LOOK1 if :: INTENT && tmpid != F.temp -> look = UNKNOWN :: else -> look = ABORTED fi
#define LOOK2 if :: look == UNKNOWN && dstid == F.temp -> AT_DESTINATION; look = COMPLETE :: else fi
#endif

proctype P(byte me) {
  byte f = NONE;                /* the open file */
  byte role = 0;                /* 0, 1 Reader, 2 Writer */
  byte job = 0;
  byte g = 0;                   /* my generation */
  byte n = 0;                   /* next block: filled or emptied, private copy */
  byte p = 0;                   /* its offset in the file */
  byte s = 0;                   /* checksum of the file before it */
  byte fd = 0;                  /* the temporary file that I have open */
  byte b = 0; byte o = 0; byte k = 0; byte id = 0;
  bool r = 0; bool w = 0; bool gone = 0; byte st = 0; byte look = 0;
  byte ver = 0;                 /* the version of the source that this Reader has open */

/* ------------------------------------------------------------- arrival */
  atomic {
    if :: REPLACE == 1 || REPLACE == 2 || REPLACE == 3 && me % 2 -> waits[me] = 1
       :: REPLACE == 0 || REPLACE == 2 || REPLACE == 3 && !(me % 2) fi;
    if :: 1 :: JOBS > 1 -> job = 1 fi
  }
join:
  STEP( atomic {
    if
    :: complete && !REPEAT -> goto fin
    :: else ->
       if
       :: name == NONE ->
          f = 0; do :: f < NI && (I[f].linked || I[f].refs > 0) -> f++ :: else -> break od;
          assert(f < NI); F.linked = 1; name = f
       :: else -> f = name
       fi;
       F.refs++
    fi } )
  STEP( if
        :: F.G == 0 -> F.G = me; if :: F.R == 0 && F.W == 0 -> F.dead = 1 :: else fi
        :: DEADLINE && F.G != 0 -> closefile(); goto fin                /* busy */
        fi )
#ifndef BAD_NO_LINK_CHECK
  STEP( if :: F.linked -> skip
           :: else -> F.G = 0; closefile(); goto join fi )
#endif
  STEP( r = (F.R != 0) )
  STEP( w = (F.W != 0) )
  if
  :: !r && !w ->                                    /* first */
#ifdef BAD_SEAT_FIRST
     STEP( assert(F.R == 0); F.R = me )
     STEP( newheader() )
#elif defined(BAD_WAITING_SEAT_FIRST)
     if :: wish[me] == 2 -> STEP( F.W = me ) :: else fi;
     STEP( newheader() )
     STEP( if :: wish[me] == 2 -> skip :: else -> F.R = me fi )
#else
     STEP( if :: F.gen == 0 -> skip
              :: else -> goto garbage fi )          /* used before: left over */
     STEP( newheader() )                            /* the header is initialised before the seat is taken */
     STEP( assert(F.R == 0 && F.W == 0); if :: wish[me] == 2 -> F.W = me :: else -> F.R = me fi )
#endif
     if
     :: wish[me] == 2 -> goto waiting               /* a Writer that comes first waits for its Reader */
     :: else
     fi;
     STEP( g = F.gen; role = 1; F.readers++; assert(F.readers == 1 && wish[me] != 2); alone(); r = 0; w = 0; F.G = 0 )
     goto opening
  :: !r && w ->                                     /* no Reader yet, or a dead Reader's seat */
#ifndef BAD_NO_WISH
     if :: wish[me] == 2 -> st = SEEN(f); goto refused :: else fi;
#endif
     STEP( st = SEEN(f);
           if
           :: F.state == OPENING && !DECIDED
#ifndef BAD_NO_JOB
              && F.job == job
#endif
              -> look = 1                           /* not ready before: still counts as the first Reader */
#ifdef BAD_ADMIT
           :: F.state == READY && F.temp != 0 && !DECIDED && F.job == job -> skip
#elif defined(BAD_NO_JOB)
           :: F.state == READY && F.temp != 0 && F.wadmits && !DECIDED -> skip
#else
           :: F.state == READY && F.temp != 0 && F.wadmits && !DECIDED && F.job == job -> skip
#endif
           :: else -> goto refused fi )
#ifndef BAD_ADMITS_LATE
     STEP( F.radmits = waits[me] )
#endif
     STEP( assert(F.R == 0); assert(look || F.W == 0 || waits[F.W]); assert(F.job == job); F.R = me )
     STEP( assert(!F.dead); g = F.gen; role = 1; F.readers++; assert(F.readers == 1 && wish[me] != 2); alone(); r = 0; w = 0; st = 0; F.G = 0 )
#ifdef BAD_ADMITS_LATE
     STEP( F.radmits = waits[me] )
#endif
#ifdef BAD_ALL_REPLACE
     look = 0; goto reopen
#else
     if :: look -> look = 0; goto opening :: else -> goto reopen fi
#endif
  :: r && !w ->
     if :: wish[me] == 1 -> st = SEEN(f); goto refused :: else fi;
     STEP( st = SEEN(f);
           if
#ifdef BAD_ADMIT
           :: F.state != OVER && !DECIDED && F.job == job -> skip
#elif defined(BAD_NO_JOB)
           :: F.state != OVER && !DECIDED && (F.job == job && F.temp == 0 || F.temp != 0 && F.radmits) -> skip
#else
           :: F.state != OVER && !DECIDED && F.job == job && (F.temp == 0 || F.radmits) -> skip
#endif
           :: else -> goto refused fi )
#ifndef BAD_ADMITS_LATE
     STEP( F.wadmits = waits[me] )
#endif
     STEP( assert(F.W == 0); assert(F.temp == 0 || F.R == 0 || waits[F.R]); assert(F.job == job); F.W = me )
waiting:
     STEP( g = F.gen; role = 2; F.writers++; assert(F.writers == 1 && wish[me] != 1); alone(); r = 0; w = 0; st = 0; F.G = 0 )
#ifdef BAD_ADMITS_LATE
     STEP( F.wadmits = waits[me] )
#endif
     goto waitready
  :: r && w -> st = SEEN(f); goto refused           /* too many instances */
  fi;

garbage:
  STEP( UNLINK )
  STEP( F.G = 0; closefile() )
  goto join;

refused:        /* the command ends here; the user restarts it when something has changed */
  STEP( F.G = 0; id = f; closefile() )
  STEP( if
        :: name != id || (I[id].R != 0) != r || (I[id].W != 0) != w || SEEN(id) != st || (complete && !REPEAT) ->
           id = 0; r = 0; w = 0; st = 0
        :: DEADLINE || JOBS > 1 -> r = 0; w = 0; st = 0; goto fin       /* or never */
        fi )
  goto join;

/* ------------------------------------------------------------- Writer: waiting for READY */
waitready:
  STEP( if
        :: F.state == READY -> skip
        :: DECIDED -> goto leave                    /* the Reader could not open its source */
        :: F.R == 0 && (wish[me] == 0 || LEFT_ALONE) -> goto letgo
        :: cancels < CANCEL -> cancels++; goto abort
#ifdef BAD_NO_READY
        :: F.state == OPENING -> skip
#endif
        fi )
  STEP( assert(!F.dead); assert(g == F.gen); assert(F.job == job); alone(); assert(F.state != OPENING) )
  goto writer;

letgo:          /* no Reader; checked again under G: the words seen before may be stale */
#ifndef BAD_BARE_LETGO
  STEP( if :: F.G == 0 -> F.G = me :: DEADLINE && F.G != 0 -> goto waitready fi )
#ifndef BAD_LETGO_UNSEEN
  STEP( if :: F.R != 0 -> F.G = 0; goto waitready :: else -> skip fi )
#endif
  STEP( if :: DECIDED -> F.G = 0; goto leave :: else -> skip fi )
#ifdef BAD_NAME_STAYS
  STEP( F.writers--; role = 0 )
#else
  STEP( F.writers--; role = 0; if :: F.linked -> UNLINK :: else -> skip fi )
#endif
#else
  STEP( F.writers--; role = 0 )
#endif
  assert(!DECIDED);             /* an end that has received a reason does not restart */
  r = (wish[me] == 0);          /* a Writer that requested this role has timed out; any other one restarts */
  goto freeseat;

/* ------------------------------------------------------------- Reader */
opening:        /* slow things, outside the gate */
  STEP( if
        :: skip
        :: fails < FAIL -> fails++; goto abort
        fi; ver = job + 2 * srcver )
  STEP( F.source = ver )
  STEP( if :: F.state == OPENING -> F.state = READY :: F.state != OPENING -> assert(DECIDED); goto leave fi )
  goto reader;

reopen:         /* a replacement: the source must still be the same */
  STEP( ver = job + 2 * srcver )
#ifndef BAD_NO_SOURCE_CHECK
  STEP( if :: F.source == ver -> skip :: else -> goto abort fi )
#endif

reader:
  STEP( n = F.filled )
  if
  :: n == 0 ->                                      /* the Writer determines where to begin */
#ifndef BAD_NO_BEGUN
     STEP( if
           :: DECIDED -> goto leave
           :: F.temp != 0 -> skip
           :: F.W == 0 && F.temp == 0 && LEFT_ALONE -> goto giveup
           :: cancels < CANCEL -> cancels++; goto abort
           fi )
#endif
     STEP( s = F.wsum[0]; p = F.wpos[0] )
  :: else ->
#if defined(BAD_ONE_SUM)
     STEP( s = F.rsum[0]; p = F.rpos[n % 2] )
#elif defined(BAD_SLOT_SUM)
     STEP( s = F.ssum[(n - 1) % N]; p = F.rpos[n % 2] )
#elif defined(BAD_WRITERS_MARK)
     STEP( s = F.wsum[n % 2]; p = F.wpos[n % 2] )
#else
     STEP( s = F.rsum[n % 2]; p = F.rpos[n % 2] )
#endif
  fi;
  do
  :: STEP( if
           :: DECIDED -> goto leave
           :: p < K && n - F.emptied < N -> skip
           :: p == K -> break                       /* the end of the source */
           :: F.W == 0 && (F.temp != 0 && !waits[me] || LEFT_ALONE) -> goto giveup
           :: cancels < CANCEL -> cancels++; goto abort
           fi; assert(g == F.gen) )
#ifdef BAD_FILLED_FIRST
     STEP( F.filled = n + 1 )
#endif
     STEP( F.data[n % N] = BLOCK(p, ver) )
     STEP( F.off[n % N] = p; s = SUM(s, NUMBER(BLOCK(p, ver))) )
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 1
     STEP( F.rsum[0] = s; F.rpos[(n + 1) % 2] = p + 1 )
#elif defined(BAD_ONE_SUM)
     STEP( F.rpos[(n + 1) % 2] = p + 1 )
#elif defined(BAD_SLOT_SUM)
     STEP( F.ssum[n % N] = s; F.rpos[(n + 1) % 2] = p + 1 )
#else
     STEP( F.rsum[(n + 1) % 2] = s; F.rpos[(n + 1) % 2] = p + 1 )
#endif
#ifndef BAD_FILLED_FIRST
     STEP( F.filled = n + 1 )
#endif
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 2
     STEP( F.rsum[0] = s )
#endif
     n++; p++
  od;
  STEP( if :: F.closing == 0 -> F.csum = s :: else -> assert(F.csum == s) fi )
  STEP( F.closing = p + 1 )
waitverdict:
  STEP( if
        :: DECIDED -> goto leave
        :: F.W == 0 && (F.temp != 0 && !waits[me] || LEFT_ALONE) -> goto giveup
        :: cancels < CANCEL -> cancels++; goto abort
        fi )

/* ------------------------------------------------------------- Writer */
writer:
  STEP( id = F.temp )
  if :: id != 0 -> goto same :: else fi;

first:          /* the first Writer of this pairing: which files exist? */
  STEP( if :: tmpid == 0 -> goto none :: tmpid != 0 -> opentemp() fi )
#ifndef BAD_REMOVE_UNLOCKED
  STEP( if
        :: D[fd].lock == 0 -> D[fd].lock = me
        :: D[fd].lock != 0 && DECIDED -> goto leave
        :: D[fd].lock != 0 && DEADLINE -> goto abort                    /* another copy is writing there */
        fi )
#ifndef BAD_NO_NAME_CHECK
  STEP( if :: tmpid == fd -> skip :: tmpid != fd -> closetemp(); goto first fi )
#endif
  STEP( if
        :: RESUMABLE(F.source) -> right(fd, jpos, F.source); id = fd; p = jpos; s = jsum; goto begin
        :: !RESUMABLE(F.source) || FRESH -> skip
        fi )
#endif
#ifdef BAD_EMPTY_OLD
  STEP( k = 0; do :: k < K -> D[fd].b[k] = 0; k++ :: else -> break od; k = 0; id = fd; goto begin )
#endif
#ifndef BAD_JOURNAL_STAYS
  STEP( NO_JOURNAL )                                /* the journal first, then the file */
#endif
  STEP( removetemp(); closetemp() )
  goto first;
none:
  STEP( if :: DONE(F.source) -> right(dstid, K, F.source); F.good = 1; id = dstid; p = K; s = jsum; goto begin
           :: !DONE(F.source) || FRESH -> skip fi )
#ifndef BAD_JOURNAL_STAYS
  STEP( NO_JOURNAL )                                /* before the new file exists: it may get the old one's number */
#endif
  STEP( if :: tmpid == 0 -> freshid(); tmpid = id; id = 0; opentemp() :: tmpid != 0 -> goto first fi )
  STEP( if :: D[fd].lock == 0 -> D[fd].lock = me :: D[fd].lock != 0 -> closetemp(); goto first fi )
  STEP( if :: tmpid == fd -> id = fd; p = 0; s = 0 :: tmpid != fd -> closetemp(); goto first fi )
begin:
#ifdef BAD_BEGUN_FIRST
  STEP( F.temp = id )
  STEP( F.wsum[0] = s; F.wpos[0] = p )
#else
  STEP( F.wsum[0] = s; F.wpos[0] = p )              /* where to resume, then the file, then (the same store here) begun */
  STEP( F.temp = id )
#endif
  goto mark;

same:           /* a replacement: the same temporary file, or it is renamed already */
  STEP( if :: tmpid == id -> opentemp() :: tmpid != id -> goto moved fi )
  STEP( if
        :: D[fd].lock == 0 -> D[fd].lock = me
        :: D[fd].lock != 0 && DECIDED -> goto leave
        :: D[fd].lock != 0 && DEADLINE -> goto abort
        fi )
#ifndef BAD_NO_NAME_CHECK
  STEP( if :: tmpid == fd -> skip :: tmpid != fd -> closetemp(); goto same fi )
#endif
#ifdef BAD_EMPTY_TEMP
  STEP( k = 0; do :: k < K -> D[fd].b[k] = 0; k++ :: else -> break od; k = 0 )
#endif
  goto mark;
moved:
  STEP( if :: dstid == id -> skip :: dstid != id -> goto abort fi )
  STEP( if
        :: F.verdict == COMMITTING -> AT_DESTINATION; goto committed
        :: DECIDED -> goto leave
#ifdef BAD_COMPLETE_UNDECIDED
        :: F.verdict == UNDECIDED -> AT_DESTINATION; goto committed
#elif defined(BAD_DONE_ABORTS)
        :: F.verdict == UNDECIDED -> goto abort
#else
        :: F.verdict == UNDECIDED && DONE(F.source) && F.wpos[F.emptied % 2] == K -> AT_DESTINATION
        :: F.verdict == UNDECIDED && !(DONE(F.source) && F.wpos[F.emptied % 2] == K) -> goto abort
#endif
        fi )

mark:
  STEP( n = F.emptied )
#if defined(BAD_ONE_SUM)
  STEP( if :: n == 0 -> s = F.wsum[0] :: else -> s = F.wsum[1] fi; p = F.wpos[n % 2] )
#else
  STEP( s = F.wsum[n % 2]; p = F.wpos[n % 2] )
#endif
consume:
  do
  :: STEP( if
           :: DECIDED -> goto leave
           :: F.filled > n -> skip
           :: F.filled == n && F.closing == p + 1 -> break
           :: F.R == 0 && (!waits[me] || LEFT_ALONE) -> goto giveup
           :: cancels < CANCEL -> cancels++; goto abort
           fi; assert(g == F.gen) )
     STEP( b = F.data[n % N]; o = F.off[n % N] )
     assert(o == p);                                /* in the program: an error */
#ifdef BAD_EMPTIED_FIRST
     STEP( F.emptied = n + 1 )
#endif
#ifdef BAD_JOURNAL_FIRST
     STEP( jid = fd; jsrc = F.source; jpos = p + 1; jsum = SUM(s, NUMBER(b)) )
#endif
     STEP( D[fd].b[o] = b; s = SUM(s, NUMBER(b)) )
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 1
     STEP( F.wsum[1] = s; F.wpos[(n + 1) % 2] = p + 1 )
#elif defined(BAD_ONE_SUM)
     STEP( F.wpos[(n + 1) % 2] = p + 1 )
#else
     STEP( F.wsum[(n + 1) % 2] = s; F.wpos[(n + 1) % 2] = p + 1 )
#endif
#ifndef BAD_EMPTIED_FIRST
     STEP( F.emptied = n + 1 )
#endif
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 2
     STEP( F.wsum[1] = s )
#endif
     b = 0; o = 0; n++; p++;
#if JOURNAL
     if
     :: 1
     :: 1 ->
#if POWER && !defined(BAD_JOURNAL_UNSYNCED)
        STEP( SYNC )
#endif
        STEP( assert(tmpid == fd); jid = fd; jsrc = F.source; jpos = p; jsum = s )   /* written first, then recorded */
     fi;
#endif
#ifdef BAD_INTENT_EARLY
     STEP( jid = fd; jsrc = F.source; jpos = K; jsum = K )
#endif
  od;
  STEP( assert(F.csum == s && p == K) )             /* in the program: if unequal, abort and keep nothing */
  if
  :: fd != 0 ->
#if POWER && !defined(BAD_JOURNAL_UNSYNCED)
     STEP( SYNC )
#endif
     STEP( assert(tmpid == fd); jid = fd; jsrc = F.source; jpos = p; jsum = s )      /* the intent record */
  :: else
  fi;
#ifdef BAD_SPLIT_INTENT
  STEP( if :: DECIDED -> goto leave :: else -> F.intent = 1 fi )
#else
  STEP( if                                          /* the intent is a compare-and-set on the verdict word */
        :: F.verdict == UNDECIDED -> F.verdict = COMMITTING
        :: F.verdict == COMMITTING -> skip          /* the predecessor's */
        :: DECIDED -> goto leave
        fi )
#endif
  STEP( assert(!DECIDED);
        if
        :: fd != 0 -> assert(tmpid == fd); right(fd, K, F.source);
           renametemp(); F.renamed = 1; F.good = 1
        :: fd == 0 && dstid == id -> AT_DESTINATION /* renamed already */
        :: fd == 0 && dstid != id -> goto lostcommit
        fi )
committed:
#if POWER && !defined(BAD_NAME_UNSYNCED)
  STEP( unsynced = 0; olddst = 0 )
#endif
  STEP(
#ifdef BAD_PLAIN_VERDICT
        F.verdict = COMPLETE;
#else
        if :: DECIDED -> skip :: else -> F.verdict = COMPLETE fi;
#endif
#if POWER
        assert(F.verdict != COMPLETE || !unsynced);
#endif
        if :: F.verdict == COMPLETE -> complete = 1 :: else fi )
  STEP( NO_JOURNAL )                                /* it may belong to another pair by now */
  goto leave;

/* ------------------------------------------------------------- the ends */
giveup:         /* the peer's seat is free and I will not wait for a replacement */
#ifdef BAD_LOOK_FIRST
  STEP( LOOK1 )
  STEP( LOOK2 )
#endif
  STEP( if :: F.G == 0 -> F.G = me :: DEADLINE && F.G != 0 -> goto goon fi )
#ifndef BAD_NO_RECHECK
  STEP( gone = (role == 1 -> F.W == 0 : F.R == 0) ) /* the seat first: nobody can take it now, so the words are final */
  STEP( if
        :: !gone || DECIDED || role == 2 && (F.filled > n || F.closing != 0) ->
           F.G = 0; gone = 0; look = 0; goto goon
        :: else -> gone = 0
        fi )
#endif
  STEP( F.state = OVER )                            /* from here on no replacement can come */
  STEP( F.G = 0 )
#ifndef BAD_LOOK_FIRST
  STEP( LOOK1 )                                     /* slow, so outside the gate */
  STEP( LOOK2 )
#endif
  STEP(
#ifdef BAD_PLAIN_VERDICT
        F.verdict = ABORTED
#else
        if
        :: DECIDED -> skip
        :: else -> F.verdict = look; if :: look == COMPLETE -> complete = 1 :: else fi
        fi
#endif
        ; look = 0 )
  goto leave;
goon:
  if :: role == 1 && F.closing != 0 -> goto waitverdict
     :: role == 1 && F.closing == 0 -> goto reader
     :: else -> goto consume fi;

abort:          /* this side aborts: cancel, error */
  STEP( if
        :: F.verdict == UNDECIDED -> F.verdict = ABORTED
#ifdef BAD_PLAIN_VERDICT
        :: F.verdict != UNDECIDED -> F.verdict = ABORTED
#else
        :: F.verdict == COMMITTING && role == 1 -> goto waitverdict     /* too late: the Writer decides */
        :: F.verdict == COMMITTING && role == 2 -> goto lostcommit
        :: DECIDED -> skip
#endif
        fi )
  goto leave;

lostcommit:     /* a replacement of a Writer that was committing finds neither file, or is cancelled */
  STEP( LOOK1 )
  STEP( LOOK2 )
  STEP( F.verdict = look; if :: look == COMPLETE -> complete = 1 :: else fi; look = 0 )

leave:
#if DISCARD
  if
  :: role == 2 && fd != 0 && F.verdict == ABORTED ->
#ifdef BAD_DISCARD_UNLOCKED
     STEP( tmpid = 0 )
#else
     STEP( st = (D[fd].lock == me && tmpid == fd) )
     if
     :: st -> STEP( NO_JOURNAL ) STEP( removetemp() )
     :: else
     fi; st = 0
#endif
  :: DISCARD == 2 || role != 2 || fd == 0 || F.verdict != ABORTED
  fi;
#endif
  STEP( assert(F.gen == g); say(F.verdict) )
  n = 0; s = 0; p = 0; id = 0; b = 0; o = 0; ver = 0;
#ifndef BAD_UNLINK_WITHOUT_GATE
  STEP( if :: F.G == 0 -> F.G = me
           :: DEADLINE && F.G != 0 ->               /* like a kill: the seat is released, the name stays */
              if :: role == 1 -> F.readers-- :: role == 2 -> F.writers-- :: else fi; role = 0; goto freeseat
        fi )
#endif
  /* the role ends here, before any unlink */
  STEP( F.state = OVER; if :: role == 1 -> F.readers-- :: role == 2 -> F.writers-- :: else fi;
        gone = (role == 1 -> F.W == 0 : F.R == 0); role = 0 )
  STEP( if :: gone && F.linked -> UNLINK :: else fi; gone = 0 )
  r = 0;
freeseat:
#ifndef BAD_GATE_BEFORE_SEAT
  STEP( if :: F.R == me -> F.R = 0 :: F.W == me -> F.W = 0 fi )   /* the seat first, then (with the file) the gate */
#endif
close:
  do
  :: atomic { F.G == me -> F.G = 0 }
  :: atomic { F.R == me -> F.R = 0 }
  :: atomic { F.W == me -> F.W = 0 }
  :: atomic { fd != 0 -> closetemp() }
  :: atomic { F.G != me && F.R != me && F.W != me && fd == 0 -> closefile(); break }
  od;
  g = 0;
  if :: r -> r = 0; goto join :: else -> goto fin fi;

killed:
  atomic {
    if :: role == 1 -> F.readers-- :: role == 2 -> F.writers-- :: else fi;
    lost[wish[me]]++; role = 0; n = 0; s = 0; p = 0; id = 0; b = 0; o = 0; ver = 0; g = 0; k = 0; r = 0; w = 0; st = 0; gone = 0; look = 0;
    if :: f == NONE -> goto fin :: else -> goto close fi
  };

fin:
  atomic {
    job = 0; id = 0; ended++; left[wish[me]]--;
    if
    :: ended == NP ->
       do :: k < NI -> assert((I[k].G == 0 || I[k].G == NP + 1) && I[k].R == 0 && I[k].W == 0); k++ :: else -> break od;
       k = 1; do :: k < NT -> assert(OTHER || (D[k].lock == 0 && D[k].opens == 0)); k++ :: else -> break od; k = 0;
       if :: jid != 0 && jid == tmpid -> right(jid, jpos, jsrc) :: else fi;                      /* the journal is correct */
       if :: jid != 0 && jid == dstid && jpos == K && !D[jid].edited -> right(jid, K, jsrc) :: else fi;
       if :: kills == 0 && !FOREIGN && !DEADLINE -> assert(name == NONE) :: else fi;             /* nothing is left over */
       if :: PATIENT && !CANCEL && !FAIL && !OTHER && !FOREIGN && !CHANGE && !EDIT && !DEADLINE && JOBS == 1 && ENOUGH ->
             assert(complete) :: else fi                                              /* some run completes */
    :: else
    fi
  }
}

#if OTHER == 3
proctype Other() {              /* another pipe, the same source and destination: it resumes the file that it finds */
  byte fd = 0; byte p = 0; byte s = 0; byte k = 0; byte o = 0; byte v = 0; byte me = NP + 1;
  v = 2 * srcver;
  if :: atomic { tmpid != 0 -> opentemp() } :: goto stop fi;
  if :: atomic { D[fd].lock == 0 -> D[fd].lock = me } :: goto stop fi;
  if :: tmpid == fd :: else -> goto stop fi;
  if
  :: atomic { RESUMABLE(v) -> right(fd, jpos, v); p = jpos; s = jsum }
  :: atomic { !RESUMABLE(v) -> NO_JOURNAL }; atomic { removetemp() }; goto stop
  fi;
  do
  :: p < K -> atomic { D[fd].b[p] = BLOCK(p, v); s = SUM(s, NUMBER(BLOCK(p, v))); p++ };
     if :: 1 :: atomic { jid = fd; jsrc = v; jpos = p; jsum = s } fi
  :: p == K -> break
  :: goto stop
  od;
  if :: atomic { jid = fd; jsrc = v; jpos = p; jsum = s } :: goto stop fi;
  if :: atomic { assert(tmpid == fd); right(fd, K, v); renametemp() } :: goto stop fi;
  if :: atomic { NO_JOURNAL } :: 1 fi;
stop:
  atomic { p = 0; s = 0; v = 0; if :: fd != 0 -> closetemp() :: else fi }
}
#elif OTHER
proctype Other() {              /* another pipe, the same destination */
  byte k = 0;
  if
  :: atomic { tmpid != 0 && D[tmpid].lock == 0 ->
#ifdef BAD_OTHER_TRUNCATES
       D[tmpid].b[0] = 0        /* it truncates the file that it finds */
#else
       NO_JOURNAL; k = tmpid; tmpid = 0; k = 0     /* it removes the file that it finds and creates its own */
#endif
     }
  :: skip
  fi
#if OTHER == 2
  ; if :: dstid = STRANGE :: skip fi
#endif
}
#endif
#if EDIT
proctype Edit() {
  byte k = 0; byte o = 0;
  if
  :: atomic { dstid != 0 && dstid < NT ->
#if EDIT == 1
       D[dstid].b[0] = GARBAGE; D[dstid].edited = 1
#else
       o = dstid; dstid = 0; gone_if_unused(o); o = 0
#endif
     }
  :: skip
  fi
}
#endif
#if POWER
proctype Power() {              /* shared memory is lost, and unsynced data */
  byte k = 0; byte i = 0; byte f = 0;
  do
  :: atomic {
       f = 0; do :: f < NI && F.refs == 0 -> f++ :: else -> break od;
       i = 1; do :: i < NT && D[i].opens == 0 -> i++ :: else -> break od;
       if
       :: f == NI && i == NT ->
          if :: name != NONE -> f = name; UNLINK; wipe(f) :: else fi;
          if
          :: unsynced -> i = dstid; tmpid = i; dstid = olddst     /* the rename is lost, or not */
          :: 1
          fi; unsynced = 0; olddst = 0;
          i = 1;
          do
          :: i < NT -> k = 0;
             do :: k < K -> if :: (D[i].synced >> k) & 1 :: else -> D[i].b[k] = 0 fi; k++ :: else -> break od; k = 0; i++
          :: else -> break
          od
       :: else
       fi; f = 0; i = 0; break
     }
  :: break
  od
}
#endif
#if FOREIGN
proctype Foreign() { byte j = 0;
  do :: j < FOREIGN -> atomic { if :: name != NONE -> UNLINK :: skip fi; j++ } :: else -> break od }
#endif
#if SWEEP
proctype Sweep() {              /* a process with another name removes a leftover file */
  byte f; byte k = 0; byte j = 0; bool r; bool w;
  do
  :: j < SWEEP ->
     j++;
     atomic { if :: name != NONE -> f = name; F.refs++ :: else -> goto next fi };
     atomic { if :: F.G == 0 -> F.G = NP + 1 :: else -> goto shut fi };
     if :: F.linked && F.gen != 0 -> skip :: else -> goto unlock fi;
     r = (F.R != 0);
     w = (F.W != 0);
#ifdef BAD_SWEEP
     w = 0;
#endif
     if :: !r && !w -> atomic { UNLINK } :: else fi;
unlock:
     F.G = 0;
shut:
     atomic { closefile() };
next:
     f = 0; r = 0; w = 0
  :: else -> break
  od
}
#endif
#if CHANGE
proctype Change() { if :: srcver = 1 :: skip fi }
#endif

init {
  byte i = 1; byte k = 0;
  atomic {
    do
    :: i <= NP ->
#if ROLES
       /* by symmetry, only this order of requested roles */
       if
       :: ROLES == 1 && wish[i - 1] == 0 -> 1
       :: wish[i - 1] <= 1 && !(ROLES == 2 && i == NP) -> wish[i] = 1
       :: !(ROLES == 2 && i == 1) -> wish[i] = 2
       fi;
#endif
       asked[wish[i]]++; left[wish[i]]++; i++
    :: else -> break
    od;
    i = 1;
#if PRE
    /* what dead pairs can have left: the journal is correct about the file that it names, or names none */
    if :: tmpid = 1 :: 1 fi;
    if :: dstid = 2 :: 1 fi;
    if :: jid = 1 :: jid = 2 :: 1 fi;
    if :: jid != 0 -> if :: jsrc = 1 :: 1 fi :: else fi;
    if :: jid == 1 -> do :: jpos < K -> jpos++ :: break od :: jid == 2 -> jpos = K :: else fi;
    jsum = jpos;
    do
    :: k < K ->
       if :: tmpid == 1 -> D[1].b[k] = (jid == 1 && k < jpos -> BLOCK(k, jsrc) : GARBAGE) :: else fi;
       if :: dstid == 2 -> D[2].b[k] = (jid == 2 -> BLOCK(k, jsrc) : GARBAGE) :: else fi; k++
    :: else -> break
    od;
    k = 0;
#if POWER
    if :: tmpid == 1 -> D[1].synced = (1 << jpos) - 1 :: else fi;
    if :: dstid == 2 -> D[2].synced = (1 << K) - 1 :: else fi;
#endif
    if :: dstid == 2 -> D[2].edited = 1; D[2].b[0] = GARBAGE :: 1 fi;
#endif
    do :: i <= NP -> run P(i); i++ :: else -> break od;
#if OTHER
    run Other();
#endif
#if FOREIGN
    run Foreign();
#endif
#if SWEEP
    run Sweep();
#endif
#if CHANGE
    run Change();
#endif
#if EDIT
    run Edit();
#endif
#if POWER
    run Power();
#endif
  }
}
