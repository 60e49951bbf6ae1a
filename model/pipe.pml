/* pipe.pml: one pipe from arrival to verdict, with kills and replacement.
 *
 * NP processes run the same command.  One file per pipe, three locks on it:
 * G (gate), R (Reader's seat), W (Writer's seat).  A process may be killed
 * before any step, at most CRASH times in a run; the kernel then drops the
 * locks of the dead one by one in any order (Linux drops them at once: the
 * model is harsher).  Every STEP is one access to something shared.
 *
 * Parameters (defaults in brackets)
 *   NP       processes [3]          CRASH   kills, anywhere [1]
 *   K        blocks of the file [2] N       slots of the ring [1]
 *   REPLACE  1: a survivor waits for a replacement, 0: it gives up [1]
 *   ADMIT    1: a newcomer may take a dead one's seat, 0: not any more once
 *            the Writer has begun [REPLACE]
 *   PATIENT  1: it gives up only when nobody else is left to come,
 *            0: it may give up at any time [1]
 *   CANCEL   orderly cancels (Ctrl-C), by either side, at any wait [0]
 *   FAIL     the source cannot be opened, so often [0]
 *   OTHER    another pipe with the same destination takes the temporary file
 *            once, when nobody holds its lock; 2: and commits its own [0]
 *   FOREIGN  a stranger removes the pipe's name, so often [0]
 *   CHANGE   the source is replaced by another version once [0]
 *   SWEEP    newcomers of other names look for what killed pairs left, so often [0]
 *   REPEAT   1: processes that come after a complete copy copy again [0]
 *   NI       inodes kept apart [NP]
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
#ifndef ADMIT
#define ADMIT REPLACE
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
#ifndef REPEAT
#define REPEAT 0
#endif
#ifndef NI
#define NI NP
#endif

#define NONE 255
#define STRANGE 200             /* a destination that somebody else put there */
#define WRONG 99                /* a checksum that no right copy can have */
/* state */
#define OVER    0               /* also: never used */
#define OPENING 1
#define READY   2
/* verdict: one word, moved by compare-and-set only */
#define UNDECIDED  0
#define COMMITTING 1
#define COMPLETE   2
#define ABORTED    3            /* the destination is what it was */
#define UNKNOWN    4            /* committing, and neither file is there to tell: only where strangers meddle */

typedef File {
  /* the kernel's part */
  bool linked; byte refs;
  byte G; byte R; byte W;       /* lock owners, 0 = free */
  /* the header */
  byte gen; byte state;
  byte source;                  /* identity of the source, stored before READY */
  byte filled; byte rsum[2];    /* written by the Reader only */
  byte closing; byte csum;      /* length + 1, checksum; Reader only */
  byte emptied; byte wsum[2];   /* written by the Writer only */
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
  /* not in the program: for the properties only */
  bool dead;                    /* somebody held the gate and saw both seats free */
  byte said;                    /* the verdict that somebody reported */
  byte readers; byte writers;   /* living processes in the role */
  bool renamed;                 /* this generation's temporary file became the destination */
};
File I[NI];
byte name = NONE;               /* the file that the pipe's name points to */

byte T = 0;                     /* lock on the temporary file */
byte tmpid = 0;                 /* identity of the temporary file, 0 = there is none */
byte tmp[K];                    /* its content: block k is right when it is k+1 (+ version) */
byte dstid = 0;                 /* identity of the destination, 0 = the old file */
byte srcver = 0;                /* the version of the source that is there now */

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
/* unlinkat takes whatever the name points to */
#define UNLINK if :: name != NONE -> I[name].linked = 0; name = NONE :: else fi
#define LEFT_ALONE (!PATIENT || ended == NP - 1)

/* what the kernel does when the last descriptor of an unlinked file is closed */
inline wipe(i) {
  d_step {
    I[i].gen = 0; I[i].state = 0; I[i].source = 0; I[i].filled = 0; I[i].rsum[0] = 0; I[i].rsum[1] = 0;
    I[i].closing = 0; I[i].csum = 0; I[i].emptied = 0; I[i].wsum[0] = 0; I[i].wsum[1] = 0;
    I[i].temp = 0; I[i].verdict = 0; I[i].dead = 0; I[i].said = 0; I[i].renamed = 0;
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
/* a new generation in the header; under G, both seats free, nobody attached */
inline newheader() {
  d_step {
    assert(F.readers == 0 && F.writers == 0);    /* nobody is attached to what is reset */
    assert(F.gen == 0); k = 1;
    F.state = OPENING; F.source = 0; F.filled = 0; F.rsum[0] = 0; F.rsum[1] = 0; F.closing = 0; F.csum = 0;
    F.emptied = 0; F.wsum[0] = 0; F.wsum[1] = 0; F.temp = 0; F.verdict = UNDECIDED; F.dead = 0; F.said = 0; F.renamed = 0;
    F.gen = k;
#ifdef BAD_SPLIT_INTENT
    F.intent = 0;
#endif
    k = 0
  }
}
/* an identity that nothing has: the smallest that is recorded nowhere */
inline freshid() {
  d_step {
    id = 1;
    do
    :: k = 0; b = 0;
       do :: k < NI -> if :: I[k].temp == id -> b = 1 :: else fi; k++ :: else -> break od;
       if :: b || dstid == id || tmpid == id -> id++ :: else -> break fi
    od;
    k = 0; b = 0
  }
}
inline tempright() {            /* every block of one version, in its place */
  d_step {
    k = 0;
    do :: k < K -> assert(tmp[k] == BLOCK(k, F.source)); k++ :: else -> break od;
    k = 0
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
  assert(x == COMPLETE && F.renamed || x == ABORTED && !F.renamed || x == UNKNOWN && (OTHER || FOREIGN));
  assert(F.said == 0 || F.said == x); F.said = x
}
/* what a survivor makes of an intent: it looks at both names */
#ifdef BAD_NO_LOOK
#define LOOK look = ABORTED
#else
#define LOOK if :: INTENT && dstid == F.temp -> look = COMPLETE \
                :: INTENT && dstid != F.temp && tmpid == F.temp -> look = ABORTED \
                :: INTENT && dstid != F.temp && tmpid != F.temp -> look = UNKNOWN \
                :: else -> look = ABORTED fi
#endif
#ifdef BAD_SPLIT_INTENT
#define INTENT F.intent
#else
#define INTENT (F.verdict == COMMITTING)
#endif
#define DECIDED (F.verdict >= COMPLETE)

proctype P(byte me) {
  byte f = NONE;                /* the open file */
  byte role = 0;                /* 0, 1 Reader, 2 Writer */
  byte g = 0;                   /* my generation */
  byte n = 0;                   /* next block: filled or emptied, private copy */
  byte s = 0;                   /* checksum of the blocks before n */
  byte b = 0; byte o = 0; byte k = 0; byte id = 0;
  bool r = 0; bool w = 0; bool gone = 0; byte st = 0; byte look = 0;
  byte ver = 0;                 /* the version of the source that this Reader has open */

/* ------------------------------------------------------------- arrival */
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
  STEP( F.G == 0 -> F.G = me; if :: F.R == 0 && F.W == 0 -> F.dead = 1 :: else fi )
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
#else
     STEP( if :: F.gen == 0 -> skip
              :: else -> goto garbage fi )          /* used before: nobody's any more */
     STEP( newheader() )                            /* the header is new before the seat is taken */
     STEP( assert(F.R == 0); F.R = me )
#endif
     STEP( g = F.gen; role = 1; F.readers++; assert(F.readers == 1); alone(); r = 0; w = 0; F.G = 0 )
     goto opening
  :: !r && w ->
     STEP( st = F.state; if :: ADMIT && st == READY -> skip :: else -> goto refused fi )
     STEP( assert(F.R == 0); F.R = me )
     STEP( assert(!F.dead); g = F.gen; role = 1; F.readers++; assert(F.readers == 1); alone(); r = 0; w = 0; st = 0; F.G = 0 )
     goto reopen
  :: r && !w ->
     STEP( st = F.state; if :: st != OVER && (ADMIT || F.temp == 0) -> skip :: else -> goto refused fi )
     STEP( assert(F.W == 0); F.W = me )
     STEP( g = F.gen; r = 0; w = 0; st = 0; F.G = 0 )
     goto waitready
  :: r && w -> st = F.state; goto refused           /* too many instances */
  fi;

garbage:
  STEP( UNLINK )
  STEP( F.G = 0; closefile() )
  goto join;

refused:        /* the command ends here; its user starts it again when something has changed */
  STEP( F.G = 0; id = f; gone = (!ADMIT && F.temp != 0); closefile() )
  STEP( name != id || (I[id].R != 0) != r || (I[id].W != 0) != w || I[id].state != st
        || (!ADMIT && I[id].temp != 0) != gone || (complete && !REPEAT) ->
        id = 0; r = 0; w = 0; st = 0; gone = 0 )
  goto join;

/* ------------------------------------------------------------- Writer: waiting for READY */
waitready:
  STEP( if
        :: F.state == READY -> skip
        :: DECIDED -> goto leave                    /* the Reader could not open its source */
        :: F.R == 0 -> goto letgo
#ifdef BAD_NO_READY
        :: F.state == OPENING -> skip
#endif
        fi )
  STEP( assert(!F.dead); assert(g == F.gen); role = 2; F.writers++; assert(F.writers == 1); alone(); assert(F.state != OPENING) )
  goto writer;

letgo:          /* the Reader died before READY; looked at again under G: words first seen may be old */
#ifndef BAD_BARE_LETGO
  STEP( F.G == 0 -> F.G = me )
  STEP( if :: F.R != 0 -> F.G = 0; goto waitready :: else -> skip fi )
  STEP( if :: DECIDED -> F.G = 0; goto leave :: else -> skip fi )
  STEP( if :: F.linked -> UNLINK :: else -> skip fi )
#endif
  assert(!DECIDED);             /* who was told why does not start over */
  r = 1; goto freeseat;

/* ------------------------------------------------------------- Reader */
opening:        /* slow things, outside the gate */
  STEP( if
        :: skip
        :: fails < FAIL -> fails++; goto abort
        fi; ver = srcver )
  STEP( F.source = ver )
  STEP( F.state = READY )
  goto reader;

reopen:         /* a replacement: the source must still be the same */
  STEP( ver = srcver )
#ifndef BAD_NO_SOURCE_CHECK
  STEP( if :: F.source == ver -> skip :: else -> goto abort fi )
#endif

reader:
  STEP( n = F.filled )
#if defined(BAD_ONE_SUM)
  STEP( s = F.rsum[0] )
#elif defined(BAD_SLOT_SUM)
  STEP( if :: n == 0 -> s = 0 :: else -> s = F.ssum[(n - 1) % N] fi )
#else
  STEP( s = F.rsum[n % 2] )
#endif
  do
  :: STEP( if
           :: DECIDED -> goto leave
           :: n < K && n - F.emptied < N -> skip
           :: n == K -> break                       /* the end of the source */
           :: F.W == 0 && !REPLACE && F.temp != 0 -> goto giveup
           :: F.W == 0 && (REPLACE || F.temp == 0) && LEFT_ALONE -> goto giveup
           :: cancels < CANCEL -> cancels++; goto abort
           fi; assert(g == F.gen) )
#ifdef BAD_FILLED_FIRST
     STEP( F.filled = n + 1 )
#endif
     STEP( F.data[n % N] = BLOCK(n, ver) )
     STEP( F.off[n % N] = n; s = SUM(s, NUMBER(BLOCK(n, ver))) )
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 1
     STEP( F.rsum[0] = s )
#elif defined(BAD_SLOT_SUM)
     STEP( F.ssum[n % N] = s )
#elif !defined(BAD_ONE_SUM)
     STEP( F.rsum[(n + 1) % 2] = s )
#endif
#ifndef BAD_FILLED_FIRST
     STEP( F.filled = n + 1 )
#endif
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 2
     STEP( F.rsum[0] = s )
#endif
     n++
  od;
  STEP( if :: F.closing == 0 -> F.csum = s :: else -> assert(F.csum == s) fi )
  STEP( F.closing = n + 1 )
waitverdict:
  STEP( if
        :: DECIDED -> goto leave
        :: F.W == 0 && !REPLACE && F.temp != 0 -> goto giveup
        :: F.W == 0 && (REPLACE || F.temp == 0) && LEFT_ALONE -> goto giveup
        :: cancels < CANCEL -> cancels++; goto abort
        fi )

/* ------------------------------------------------------------- Writer */
writer:
  STEP( T == 0 -> T = me )
  STEP( id = F.temp )
  if
#ifndef BAD_EMPTY_TEMP
  :: id != 0 ->                                     /* a replacement: the same temporary file, or it is renamed already */
     STEP( if :: tmpid == id -> skip :: dstid == id -> goto committed :: else -> goto abort fi )
  :: id == 0 ->
#else
  :: 1 ->
#endif
     freshid();
     STEP( tmpid = id; k = 0; do :: k < K -> tmp[k] = 0; k++ :: else -> break od; k = 0 )
     STEP( F.temp = id )
  fi;
  STEP( n = F.emptied )
#if defined(BAD_ONE_SUM)
  STEP( s = F.wsum[0] )
#else
  STEP( s = F.wsum[n % 2] )
#endif
consume:
  do
  :: STEP( if
           :: DECIDED -> goto leave
           :: F.filled > n -> skip
           :: F.closing == n + 1 -> break
           :: F.R == 0 && (!REPLACE || LEFT_ALONE) -> goto giveup
           :: cancels < CANCEL -> cancels++; goto abort
           fi; assert(g == F.gen) )
     STEP( b = F.data[n % N]; o = F.off[n % N] )
#ifdef BAD_EMPTIED_FIRST
     STEP( F.emptied = n + 1 )
#endif
     STEP( tmp[o] = b; s = SUM(s, NUMBER(b)) )
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 1
     STEP( F.wsum[0] = s )
#elif !defined(BAD_ONE_SUM)
     STEP( F.wsum[(n + 1) % 2] = s )
#endif
#ifndef BAD_EMPTIED_FIRST
     STEP( F.emptied = n + 1 )
#endif
#if defined(BAD_ONE_SUM) && BAD_ONE_SUM == 2
     STEP( F.wsum[0] = s )
#endif
     b = 0; o = 0; n++
  od;
  STEP( assert(F.csum == s) )                       /* in the program: unequal -> aborted */
#ifdef BAD_SPLIT_INTENT
  STEP( if :: DECIDED -> goto leave :: else -> F.intent = 1 fi )
#else
  STEP( if                                          /* the intent is a compare-and-set on the verdict's word */
        :: F.verdict == UNDECIDED -> F.verdict = COMMITTING
        :: F.verdict == COMMITTING -> skip          /* the predecessor's */
        :: DECIDED -> goto leave
        fi )
#endif
  STEP( tempright(); assert(!DECIDED); assert(tmpid == id);
        F.renamed = 1; dstid = tmpid; tmpid = 0;
        k = 0; do :: k < K -> tmp[k] = 0; k++ :: else -> break od; k = 0 )
committed:
  STEP( assert(F.renamed);
#ifdef BAD_PLAIN_VERDICT
        F.verdict = COMPLETE;
#else
        if :: DECIDED -> skip :: else -> F.verdict = COMPLETE fi;
#endif
        if :: F.verdict == COMPLETE -> complete = 1 :: else fi )
  goto leave;

/* ------------------------------------------------------------- the ends */
giveup:         /* the partner's seat is free and I will not wait for another */
#ifdef BAD_LOOK_FIRST
  STEP( LOOK )
#endif
  STEP( F.G == 0 -> F.G = me )
#ifndef BAD_NO_RECHECK
  STEP( gone = (role == 1 -> F.W == 0 : F.R == 0) ) /* the seat first: nobody can take it now, so the words are its last */
  STEP( if
        :: !gone || DECIDED || role == 2 && (F.filled > n || F.closing != 0) ->
           F.G = 0; gone = 0; look = 0;
           if :: role == 1 && F.closing != 0 -> goto waitverdict
              :: role == 1 && F.closing == 0 -> goto reader
              :: else -> goto consume fi
        :: else -> gone = 0
        fi )
#endif
  STEP( F.state = OVER )                            /* from here on no replacement can come */
  STEP( F.G = 0 )
#ifndef BAD_LOOK_FIRST
  STEP( LOOK )                                      /* slow, so outside the gate */
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

abort:          /* an orderly end by this side: cancel, error */
  STEP( if
        :: F.verdict == UNDECIDED -> F.verdict = ABORTED
#ifdef BAD_PLAIN_VERDICT
        :: F.verdict != UNDECIDED -> F.verdict = ABORTED
#else
        :: F.verdict == COMMITTING && role == 1 -> goto waitverdict     /* too late: the Writer's word counts */
        :: F.verdict == COMMITTING && role == 2 -> goto lostcommit
        :: DECIDED -> skip
#endif
        fi )
  goto leave;

lostcommit:     /* a replacement of a Writer that was committing finds neither file, or is cancelled */
  STEP( LOOK )
  STEP( F.verdict = look; if :: look == COMPLETE -> complete = 1 :: else fi; look = 0 )

leave:
  STEP( assert(F.gen == g); say(F.verdict) )
  n = 0; s = 0; id = 0; b = 0; o = 0; ver = 0;
#ifndef BAD_UNLINK_WITHOUT_GATE
  STEP( F.G == 0 -> F.G = me )
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
  :: atomic { T == me -> T = 0 }
  :: atomic { F.G != me && F.R != me && F.W != me && T != me -> closefile(); break }
  od;
  g = 0;
  if :: r -> r = 0; goto join :: else -> goto fin fi;

killed:
  atomic {
    if :: role == 1 -> F.readers-- :: role == 2 -> F.writers-- :: else fi;
    role = 0; n = 0; s = 0; id = 0; b = 0; o = 0; ver = 0; g = 0; k = 0; r = 0; w = 0; st = 0; gone = 0; look = 0;
    if :: f == NONE -> goto fin :: else -> goto close fi
  };

fin:
  atomic {
    ended++;
    if
    :: ended == NP ->
       do :: k < NI -> assert((I[k].G == 0 || I[k].G == NP + 1) && I[k].R == 0 && I[k].W == 0); k++ :: else -> break od;
       assert(T == 0);
       if :: kills == 0 && !FOREIGN -> assert(name == NONE) :: else fi;                          /* nothing left lying about */
       if :: PATIENT && !CANCEL && !FAIL && !OTHER && !FOREIGN && !CHANGE && NP >= 2 + (REPLACE -> kills : 2 * kills) ->
             assert(complete) :: else fi                                              /* some run completes */
    :: else
    fi
  }
}

#if OTHER
proctype Other() {              /* another pipe, the same destination */
  if
  :: atomic { T == 0 && tmpid != 0 ->
#ifdef BAD_OTHER_TRUNCATES
       tmp[0] = 0               /* it empties the file that it finds */
#else
       tmpid = 0; tmp[0] = 0    /* it removes what it finds and makes its own */
#endif
     }
  :: skip
  fi
#if OTHER == 2
  ; if :: dstid = STRANGE :: skip fi
#endif
}
#endif
#if FOREIGN
proctype Foreign() { byte j = 0;
  do :: j < FOREIGN -> atomic { if :: name != NONE -> UNLINK :: skip fi; j++ } :: else -> break od }
#endif
#if SWEEP
proctype Sweep() {              /* somebody with another name removes a file that is nobody's any more */
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
  byte i = 1;
  atomic {
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
  }
}
