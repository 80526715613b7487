/** Score from which a box is shown if nobody says another; the libraries' own examples take it. */
export const usualThreshold = 0.5;
/** Boxes below the threshold that are kept for whoever lowers it. */
export const lowestThreshold = 0.05;
