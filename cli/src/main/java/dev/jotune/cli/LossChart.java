package dev.jotune.cli;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** A loss curve as SVG. */
final class LossChart {
    private static final int WIDTH = 860;
    private static final int HEIGHT = 320;
    /** Each point of the smooth line is the mean of so many steps. */
    private static final int WINDOW = 10;
    private static final Color RAW = new Color(0xf3c9a5);
    private static final Color SMOOTH = new Color(0xc2410c);
    private static final Color INK = new Color(0x57534e);
    private static final Color GRID = new Color(0xe7e5e4);

    private LossChart() {}

    /** The {@code <svg>} element. */
    static String svg(List<Double> losses) {
        try {
            return chart(losses);
        } catch (RuntimeException | LinkageError | InternalError e) {
            // Servers without any font: the library needs one to lay out its axes.
            return plain(losses);
        }
    }

    /** The curve alone. */
    static String plain(List<Double> losses) {
        double top = losses.stream().mapToDouble(d -> d).max().orElse(1);
        double low = losses.stream().mapToDouble(d -> d).min().orElse(0);
        StringBuilder points = new StringBuilder();
        for (int i = 0; i < losses.size(); i++) {
            points.append(String.format(Locale.ROOT, "%.1f,%.1f ", (double) WIDTH * i / Math.max(1, losses.size() - 1),
                    HEIGHT * (top - losses.get(i)) / Math.max(1e-9, top - low)));
        }
        return String.format(Locale.ROOT, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\"><polyline fill=\"none\" "
                + "stroke=\"#c2410c\" stroke-width=\"2\" points=\"%s\"/><text x=\"%d\" y=\"16\" font-size=\"13\">loss %.3f to %.3f</text></svg>",
                WIDTH, HEIGHT, points.toString().strip(), WIDTH - 160, top, low);
    }

    private static String chart(List<Double> losses) {
        List<Integer> steps = new ArrayList<>();
        List<Double> means = new ArrayList<>();
        for (int i = 0; i < losses.size(); i++) {
            steps.add(i + 1);
            means.add(losses.subList(Math.max(0, i - WINDOW + 1), i + 1).stream().mapToDouble(d -> d).average().orElse(0));
        }
        XYChart chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).xAxisTitle("step").yAxisTitle("loss (nats a token)").build();
        style(chart.getStyler());
        line(chart.addSeries("each step", steps, losses), RAW, 1);
        line(chart.addSeries("mean of the last " + WINDOW, steps, means), SMOOTH, 2.2f);
        return text(chart);
    }

    /** The {@code <svg>} element of any chart. */
    static String text(XYChart chart) {
        try (ByteArrayOutputStream out = new ByteArrayOutputStream()) {
            VectorGraphicsEncoder.saveVectorGraphic(chart, out, VectorGraphicsFormat.SVG);
            String text = out.toString(StandardCharsets.UTF_8);
            // Outlines of letters with nine decimals would be most of the page.
            return text.substring(text.indexOf("<svg")).replaceAll("(\\.\\d\\d)\\d+", "$1");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void line(XYSeries s, Color color, float width) {
        s.setMarker(SeriesMarkers.NONE);
        s.setLineColor(color);
        s.setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
    }

    static void style(Styler s) {
        s.setChartBackgroundColor(Color.WHITE);
        s.setPlotBackgroundColor(Color.WHITE);
        s.setPlotBorderVisible(false);
        s.setChartTitleVisible(false);
        s.setChartFontColor(INK);
        s.setLegendPosition(Styler.LegendPosition.InsideNE);
        s.setLegendBorderColor(Color.WHITE);
        Font font = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
        s.setLegendFont(font);
        if (s instanceof org.knowm.xchart.style.AxesChartStyler axes) {
            axes.setPlotGridLinesColor(GRID);
            axes.setAxisTickLabelsColor(INK);
            axes.setAxisTickLabelsFont(font);
            axes.setAxisTitleFont(font);
        }
    }
}
