package buf

import "testing"

func TestPoolUsesBuffersAgain(t *testing.T) {
	p := NewPool(64, 1)
	a, b := p.Get(), p.Get()
	if len(a.Data) != 64 || p.InUse() != 2 {
		t.Fatalf("two buffers out: %d bytes each, %d in use", len(a.Data), p.InUse())
	}
	a.Retain()
	a.Release()
	if p.InUse() != 2 {
		t.Fatal("a buffer with a user left went back")
	}
	a.Release()
	b.Release() // more than the pool keeps
	if p.InUse() != 0 || len(p.free) != 1 {
		t.Fatalf("%d in use, %d kept; want 0 and 1", p.InUse(), len(p.free))
	}
	if again := p.Get(); again != a || again.Users() != 1 {
		t.Errorf("Get did not use the idle buffer again, or with %d users", again.Users())
	}
}

func TestViewReleasesOnce(t *testing.T) {
	b := New(10)
	b.Retain()
	v := View{Bytes: b.Data[2:4], Buffer: b}
	v.Release()
	v.Release() // an empty view by now
	if b.Users() != 1 {
		t.Errorf("%d users left, want 1", b.Users())
	}
}

func TestBrokenCountsPanic(t *testing.T) {
	for name, f := range map[string]func(*Buffer){"release": (*Buffer).Release, "retain": (*Buffer).Retain} {
		t.Run(name, func(t *testing.T) {
			b := New(1)
			b.Release()
			defer func() {
				if recover() == nil {
					t.Errorf("%s of a dead buffer went unnoticed", name)
				}
			}()
			f(b)
		})
	}
}

func TestGetAndReleaseDoNotAllocate(t *testing.T) {
	p := NewPool(1<<16, 4)
	if n := testing.AllocsPerRun(100, func() { p.Get().Release() }); n > 0 {
		t.Errorf("%v allocations per Get and Release, want 0", n)
	}
}
