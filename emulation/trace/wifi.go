package trace

import (
	"math"
	"math/rand/v2"
)

// wifi is Wi-Fi for someone who walks about in a home. The signal fades as Clarke's
// model has it (Bell System Technical Journal, 1968), summed from a few waves, at
// the Doppler shift of 1 m/s at 5.2 GHz, and its mean drifts as walls pass. The
// sender takes the fastest modulation that the signal bears: the rates and the
// sensitivities are those of IEEE 802.11n-2009, one stream of 20 MHz. Of the rate
// 65 % carry data: a guess. Where the weakest does not get through the link is
// silent, as in the scenario wifi_suspension of picoquic's simulator.
type wifi struct {
	waves  [fadingWaves]wave
	shadow drift
	ms     int
}

// wave is one of the paths that the signal takes: its Doppler shift, radians/ms,
// and the phases of its two components.
type wave struct{ shift, real, imaginary float64 }

const (
	fadingWaves   = 8
	dopplerHz     = 17.3 // 1 m/s at 5.2 GHz
	wifiSignal    = -66  // dBm, mean
	wifiShadow    = 3    // dB, standard deviation
	wifiMemory    = 2e9  // ns
	wifiCarries   = 0.65
	decibelsPerE  = 4.342944819032518 // 10/ln 10
	fadingLeastDB = -40
)

func newWiFi(random *rand.Rand) *wifi {
	w := &wifi{shadow: newDrift(random, wifiShadow/decibelsPerE, wifiMemory)}
	for i := range w.waves {
		angle := (2*math.Pi*float64(i) + 2*math.Pi*random.Float64()) / fadingWaves
		w.waves[i] = wave{
			shift:     2 * math.Pi * dopplerHz / 1000 * math.Cos(angle),
			real:      2 * math.Pi * random.Float64(),
			imaginary: 2 * math.Pi * random.Float64(),
		}
	}
	return w
}

func (w *wifi) rate() float64 {
	var re, im float64
	for _, v := range w.waves {
		re += math.Cos(v.shift*float64(w.ms) + v.real)
		im += math.Cos(v.shift*float64(w.ms) + v.imaginary)
	}
	w.ms++
	power := (re*re + im*im) / fadingWaves // 1 on average
	fading := max(decibelsPerE*math.Log(power), fadingLeastDB)
	return wifiCarries * modulation(wifiSignal+fading+decibelsPerE*math.Log(w.shadow.next()))
}

// modulation returns the rate for a signal in dBm; 0 when there is none for it.
func modulation(signal float64) float64 {
	for _, m := range [...]struct{ signal, rate float64 }{
		{-64, 65e6},
		{-65, 58.5e6},
		{-66, 52e6},
		{-70, 39e6},
		{-74, 26e6},
		{-77, 19.5e6},
		{-79, 13e6},
		{-82, 6.5e6},
	} {
		if signal >= m.signal {
			return m.rate
		}
	}
	return 0
}
