/*
 * What the texts of the selective scan (arXiv 2312.00752) share: h_t = exp(dt_t a) h_(t-1) + dt_t x_t B_t, y_t = C_t h_t + d x_t.
 *
 * Time is cut into chunks of CHUNK steps. A state is a linear function of the state before its chunk, with the factor exp(a sum dt):
 * so every chunk first runs from nothing (scan_ends), a short walk over the chunks joins their ends (scan_carry), and then every
 * chunk runs again from its true state (scan_outputs). The backward pass does the same from the other end. Twice the exponentials
 * buy T / CHUNK times the groups, which a recurrence over thousands of steps lacks.
 *
 * A group takes a chunk of CHANNELS channels with all their STATES states, an item a state: neighbours read neighbouring states.
 */
#define CHANNEL (LID / STATES)
#define STATE (LID % STATES)
/* Numbers of one step that a group hands to each other, a row a channel; one more than STATES keeps channels off the same bank. */
#define ROW (STATES + 1)
#define STEP_SIZE (CHANNELS * ROW)
#define BLOCKS ((channels + CHANNELS - 1) / CHANNELS)
