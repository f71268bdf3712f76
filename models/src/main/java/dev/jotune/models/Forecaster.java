package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;

/** A model that continues time series. */
public interface Forecaster extends Backbone {
    /** How many steps it forecasts. */
    int horizon();

    /**
     * The steps after {@code past}, in the same units: {@code [B, horizon, channels]}. Of a past that is longer than
     * {@link #contextLength()} the last steps are read.
     *
     * @throws IllegalArgumentException if the past is shorter than the context
     */
    Var forecast(Series past, Pass pass);

    /**
     * The mean error of the forecast over the observed values of {@code future [B, horizon, channels]}, as the model was
     * trained with it; a longer future is cut.
     *
     * @throws IllegalArgumentException if the past or the future is too short, or they do not fit each other
     */
    Var loss(Series past, Series future, Pass pass);
}
