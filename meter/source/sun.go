package source

import "math"

// sky is the weather of one day.
type sky struct {
	spell  float64 // warmer or colder than the season, K
	clouds float64 // share of the sky that is covered, 0 to 1
	broken float64 // how much the share moves within the day
}

// drawSky draws the weather that all households of a seed share. Spells last
// some days: they run smoothly between values drawn for every fourth day.
// Winters on the Swiss Plateau lie under fog and summers are bright: sunshine
// is seen in about 20 % of the possible hours in December, 55 % in July.
func (d *aDay) drawSky() sky {
	const span = 4
	block := floorDiv(d.date, span)
	f := float64(floorMod(d.date, span)) / span
	a := random(d.home.seed, drawOfWeather, block)
	b := random(d.home.seed, drawOfWeather, block+1)
	spell := 4.5 * (a.NormFloat64()*(1-f) + b.NormFloat64()*f)
	pressure := a.NormFloat64()*(1-f) + b.NormFloat64()*f

	r := random(d.home.seed, drawOfSky, d.date)
	winter := math.Cos(2 * math.Pi * (float64(d.date) + 5) / 365.2425)
	clouds := 0.7 + 0.13*winter + 0.3*pressure + 0.25*r.NormFloat64()
	return sky{spell: spell, clouds: clamp(clouds, 0, 1), broken: between(r, 0.05, 0.5)}
}

// declination of the sun, radians, by Cooper's formula (1969), good to 1.6°.
func (d *aDay) declination() float64 {
	return radians(23.45) * math.Sin(2*math.Pi*(float64(d.date)+284+1)/365.2425)
}

// daylight is sunrise and sunset in minutes after midnight on the clock.
func (d *aDay) daylight() (dawn, sunset float64) {
	half := math.Acos(clamp(-math.Tan(d.latitude)*math.Tan(d.declination()), -1, 1))
	noon := d.noon()
	return noon - half*720/math.Pi, noon + half*720/math.Pi
}

// noon is when the sun stands highest, in minutes after the day's beginning: at
// 12:00 of the meridian that the zone's standard time follows, later by the
// site's distance to its west. The equation of time, 16 minutes at most, is
// left out.
func (d *aDay) noon() float64 {
	saving := float64(d.hour0-standard(d)) / 60
	return 720 + saving + d.westward*720/math.Pi
}

// standard is the zone's offset out of daylight saving time, the smaller of
// those half a year apart.
func standard(d *aDay) int64 {
	return min(d.hour0, offset(d.home.loc, d.start+182*day))
}

// generate takes what the roof yields from every minute.
func (d *aDay) generate() {
	if d.roof.kWp == 0 {
		return
	}
	// Clear-sky irradiance on the flat by Haurwitz (1945) as in Reno, Hansen and
	// Stein (SAND2012-2389); cloud factor by Kasten and Czeplak (1980).
	const (
		ratio   = 0.76 // of a whole system to its panels in the laboratory
		quantum = 15   // minutes between changes of the clouds
	)
	decl := d.declination()
	sinDecl, cosDecl := math.Sincos(decl)
	sinLat, cosLat := math.Sincos(d.latitude)
	sinTilt, cosTilt := math.Sincos(d.roof.tilt)
	sinAz, cosAz := math.Sincos(d.roof.azimuth)
	diffuseView := (1 + cosTilt) / 2
	noon := d.noon()
	now, next := d.brightness(), d.brightness()
	for m := range d.watts {
		if m%quantum == 0 {
			now, next = next, d.brightness()
		}
		sinHour, cosHour := math.Sincos((float64(m) + 0.5 - noon) * math.Pi / 720)
		up := sinLat*sinDecl + cosLat*cosDecl*cosHour
		if up <= 0.01 {
			continue
		}
		east := -cosDecl * sinHour
		north := cosLat*sinDecl - sinLat*cosDecl*cosHour
		facing := max(0, sinTilt*(sinAz*east+cosAz*north)+cosTilt*up)

		bright := now + (next-now)*float64(m%quantum)/quantum
		flat := 1098 * up * math.Exp(-0.059/up) * bright
		direct := 0.87 * bright * bright // share that comes straight from the sun
		plane := flat * (direct*facing/max(up, 0.1) + (1-direct)*diffuseView)
		d.watts[m] -= d.roof.kWp * min(plane, 1100) * ratio
	}
}

// brightness draws the share of the clear sky's light that the clouds leave.
func (d *aDay) brightness() float64 {
	covered := clamp(d.sky.clouds+d.sky.broken*d.r.NormFloat64(), 0, 1)
	return 1 - 0.75*math.Pow(covered, 3.4)
}
