"""Writes the vectors that tests/reference_law.rs compares the core with.

Usage: python3 tests/reference/make_vectors.py PATH_TO_law.py_FOLDER   (the executable reference of the control law, spec/control)
Deterministic: the same reference gives the same files.
"""
import pathlib, random, sys
sys.path.insert(0, sys.argv[1])
from law import *

HERE = pathlib.Path(__file__).parent
FREE = dict(export_total=10**6, peak_import=10**6, unbalance=10**6)


def row(*parts):
    return ','.join(str(int(v)) for p in parts for v in (p if isinstance(p, (list, tuple)) else [p])) + '\n'


def caps_vectors():
    """age, p, soc, v, i_chg, i_dis, temp, ok, p_dis, p_chg -> Dh, Ch, Dp, Cp"""
    r = random.Random(11)
    with open(HERE / 'capability.csv', 'w') as f:
        for _ in range(500):
            b = BatCfg(0, 0, r.choice([800, 2500, 4600]), r.choice([800, 3500, 4600]))
            soc = r.choice([0, 40, 50, 51, 60, 99, 100, 110, 129, 130, 131, 500, 959, 965, 985, 999, 1000, r.randrange(1001)])
            i = BatIn(100000 - r.choice([0, 300, 4999, 5000, 5001, 14999, 15000, 15001, 60000]), r.randrange(-4600, 4601), soc, r.choice([44000, 52000, 57000]),
                      r.choice([0, 5000, 30000, 100000]), r.choice([0, 5000, 30000, 100000]), r.choice([-20, -5, 0, 8, 25, 50, 58, 70]), r.random() > .05)
            d, c, dp, cp, _, _ = caps(Cfg(bats=(b,)), State(), Inputs(100000, None, (i,)))
            f.write(row(100000 - i.t, i.p, i.soc, i.v_mv, i.i_chg_ma, i.i_dis_ma, i.temp, i.ok, b.p_dis, b.p_chg, d[0], c[0], dp[0], cp[0]))


def allocate_vectors():
    """n, net, ref*3, trim*3, ell*3, pf*3, peak, export, unbalance, dimmed (each -1 for none), then per battery phase, Dh, Ch, Dp, Cp, soc, cap_wh, out"""
    r = random.Random(12)
    with open(HERE / 'allocate.csv', 'w') as f:
        for case in range(2500):
            plain = case < 500
            n = r.choice([1, 2, 3, 3, 4, 6, 12])
            bats = tuple(BatCfg(i, r.randrange(3), 4600, 3500, r.choice([2000, 7700, 15000])) for i in range(n))
            some = lambda v: -1 if plain or r.random() < .5 else v
            peak, export, unbalance, dimmed = some(r.randrange(0, 12000)), some(r.choice([0, r.randrange(0, 9000)])), some(r.choice([0, 1000, 4600])), some(r.randrange(0, 6000))
            net = not plain and r.random() < .5
            ref = [0] * 3 if plain else [r.choice([0, r.randrange(-800, 801)]) for _ in range(3)]
            trim = [0] * 3 if plain or net else [r.randrange(-150, 151) for _ in range(3)]
            none = 10**6
            cfg = Cfg(bats=bats, net_mode=net, ref=tuple(ref), peak_import=none if peak < 0 else peak, export_total=none if export < 0 else export,
                      unbalance=none if unbalance < 0 else unbalance, n_steuve=1, p14a_each=max(0, dimmed))
            dh = [r.choice([0, 500, 4600, r.randrange(4601)]) for _ in bats]; ch = [r.choice([0, 500, 3500, r.randrange(3501)]) for _ in bats]
            dp = [r.choice([0, v, v]) for v in dh]; cp = [r.choice([0, v, v]) for v in ch]
            soc = [r.randrange(1001) for _ in bats]
            ell = [r.choice([r.randrange(-9000, 9001), r.randrange(-1500, 1501)]) for _ in range(3)]
            pf = [r.choice([0, 2000, 5405, 7820]) for _ in range(3)]
            out, x, L, U = allocate(cfg, ell, trim, pf, dh, ch, dp, cp, soc, 0, dimmed >= 0)
            f.write(row(n, net, ref, trim, ell, pf, peak, export, unbalance, dimmed,
                        *[(b.phase, dh[k], ch[k], dp[k], cp[k], soc[k], b.cap_wh, out[k]) for k, b in enumerate(bats)]))


def run_vectors():
    """Whole runs: run, now, fresh, p*3, then b*3 -> mode, ell*3, trim*3, set*3. Batteries on L1..L3, never saturated; first short gaps, then one long."""
    r = random.Random(13)
    modes = dict(INIT=0, RUN=1, HOLD=2, RAMP=3, FALLBACK=4)
    with open(HERE / 'runs.csv', 'w') as f:
        for run in range(10):
            lat = r.randrange(0, 5600); tb = r.choice([0, 1, 2])          # latency ms, battery dead time in steps
            cfg = Cfg(bats=tuple(BatCfg(i, i) for i in range(3)), slew_w_s=10**7, heartbeat_ms=10**9, **FREE)
            st = State(); now = 1000; seq = 0
            load = [r.randrange(-2500, 2500) for _ in range(3)]
            b = [r.randrange(-800, 800) for _ in range(3)]; queue = [[v] * (tb + 1) for v in b]
            past = []                                                      # (t, g) truth
            for k in range(170):
                now += r.choice([1000, 1000, 1000, 700, 1300])
                for p in range(3):
                    if r.random() < .04: load[p] = r.randrange(-2500, 2500)
                    b[p] += (queue[p][0] - b[p]) * r.choice([6, 7, 8]) // 10
                past.append((now, [load[p] - b[p] for p in range(3)]))
                seen = [g for t, g in past if t <= now - lat] or [past[0][1]]
                fresh = not (k > 130 or (k % 40) > 37 or r.random() < .05)
                g = [v + r.randrange(-12, 13) for v in seen[-1]]
                bats = tuple(BatIn(now - 100, b[p] + r.randrange(-8, 9), 500) for p in range(3))
                m = None
                if fresh: seq += 1; m = MeterIn(seq, now, tuple(g))
                st, o = step(cfg, st, Inputs(now, m, bats))
                for p in range(3): queue[p] = queue[p][1:] + [o.set_w[p]]
                f.write(row(run, now, fresh, g, [x.p for x in bats], modes[o.mode], st.ell, st.trim, o.set_w))


caps_vectors(); allocate_vectors(); run_vectors()
