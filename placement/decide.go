package placement

// Decide answers where the object goes and with how many replicas. It is a pure function: the same input gives the
// same decision everywhere and always.
func Decide(in Input) Decision {
	var d deciding
	d.gather(&in)
	d.filter()
	d.vote()
	d.spread()
	switch d.mode {
	case ModeDivide:
		d.share()
		d.walk()
	case ModeOne:
		d.one()
	default:
		d.copies()
	}
	d.judgeSpread()
	return d.finish()
}
