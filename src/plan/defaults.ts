// The tuned numbers of splitting outlier channels off: what each bounds, its unit, and what it rests on.

/**
 * Channels of one block that are split off at most; each costs a column and a row in float. With this and the gain below: 3 to 5 dB in dynamic mode on the models that have such
 * channels, 35 dB in static mode on bert-sst2. By data instead of by the weights, eight channels gave MiniLM 0.3 dB and mpnet-base 1.5 dB more in dynamic mode, and 0.7 dB less in
 * static mode on mpnet-base. Other counts were not measured.
 */
export const MOST_CHANNELS = 6;

/** Factor by which the range of all others must shrink for any to be split off. Measured with MOST_CHANNELS, not by itself. */
export const LEAST_GAIN = 1.5;

/** Factor by which the range must shrink for each further channel. Not measured. */
export const GAIN_PER_CHANNEL = 1.1;

/** Nodes between the two layers of a block at most. Not measured: more than any spelling of GELU has. */
export const LONGEST = 24;
