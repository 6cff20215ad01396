package load

// dechunker decodes the chunked transfer coding (RFC 9112, section 7.1) of a body that is read in
// arbitrary pieces.
type dechunker struct {
	state chunkState
	left  int // bytes left of the chunk; in inSize, the value of the digits read so far
}

type chunkState uint8

const (
	inSize      chunkState = iota // hexadecimal digits
	inExtension                   // up to the end of the size's line
	inData
	afterData // line break after a chunk
)

// strip decodes b in place and returns the data.
func (d *dechunker) strip(b []byte) []byte {
	data := b[:0]
	for len(b) > 0 {
		if d.state == inData {
			n := min(d.left, len(b))
			data, b = append(data, b[:n]...), b[n:]
			if d.left -= n; d.left == 0 {
				d.state = afterData
			}
			continue
		}
		d.step(b[0])
		b = b[1:]
	}
	return data
}

// step processes a byte that is not data.
func (d *dechunker) step(c byte) {
	digit, isDigit := hexDigit(c)
	switch {
	case c == '\n' && d.state == afterData:
		d.state, d.left = inSize, 0
	case c == '\n' && d.left > 0:
		d.state = inData
	case d.state == inSize && isDigit:
		d.left = d.left<<4 | digit
	case d.state == inSize:
		d.state = inExtension
	}
}

func hexDigit(c byte) (value int, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10, true
	}
	return 0, false
}
