package load

// dechunker takes the chunked transfer coding (RFC 9112, section 7.1) off a body that
// comes in pieces cut anywhere.
type dechunker struct {
	state chunkState
	left  int // of the chunk, in bytes; while its size is read, what is known of it
}

type chunkState uint8

const (
	inSize      chunkState = iota // hexadecimal digits
	inExtension                   // up to the end of the size's line
	inData
	afterData // the line break behind a chunk
)

// strip moves the data in b to its front and returns it.
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

// step takes a byte of the framing.
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
