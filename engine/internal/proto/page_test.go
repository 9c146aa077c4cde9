package proto

import (
	"testing"

	"pgregory.net/rapid"
)

func TestBitmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 300
		var m bitmap
		var model [size]bool
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				i, j := rapid.IntRange(0, size).Draw(t, "from"), rapid.IntRange(0, size).Draw(t, "to")
				m.set(i, j)
				for ; i < j; i++ {
					model[i] = true
				}
			},
			"until": func(t *rapid.T) {
				i := rapid.IntRange(0, size-1).Draw(t, "from")
				end := rapid.IntRange(i+1, size).Draw(t, "end")
				want := i
				for want < end && model[want] == model[i] {
					want++
				}
				if got := m.until(i, end); got != want {
					t.Fatalf("until(%d, %d) = %d, want %d", i, end, got, want)
				}
			},
			"": func(t *rapid.T) {
				for i, want := range model {
					if got := m.has(i); got != want {
						t.Fatalf("bit %d is %v, want %v", i, got, want)
					}
				}
			},
		})
	})
}
