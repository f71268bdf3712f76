package dev.jotune.cli;

import java.awt.BasicStroke;
import java.awt.Color;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.DoubleStream;
import org.knowm.xchart.AnnotationText;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Accuracy over the number of trained values, a point for each row, a colour for each seam. */
final class ComparisonPlot {
    private static final int WIDTH = 980;
    private static final int HEIGHT = 560;
    private static final Map<String, Color> COLORS = Map.of("projection", new Color(0xc2410c), "attention segments", new Color(0x1d4ed8),
            "virtual tokens", new Color(0x15803d), "taps", new Color(0x7e22ce), "weights", new Color(0x292524),
            "training step", new Color(0xa16207));
    private static final Color OTHER = new Color(0x57534e);
    private static final int MARKER = 8;
    /** Heights of labels, as a share of the axis, that keep them apart. */
    private static final double LINE = 0.028;
    /** Where a label may stand, in lines above its point. */
    private static final double[] PLACES = {0.9, -1, 1.9, -2, 2.9, -3};
    /** Powers of ten within which two labels overlap. */
    private static final double WIDE = 0.4;
    /** The same of a label and a point. */
    private static final double NARROW = 0.2;

    private ComparisonPlot() {}

    private record Point(String name, String seam, double x, double y) {}

    /** The {@code <svg>} element; rows whose costs are not known yet are left out. */
    static String svg(ComparisonSummary s, String task) {
        try {
            return LossChart.text(chart(s, task));
        } catch (RuntimeException | LinkageError | InternalError e) {
            // Servers without any font: the library needs one to lay out its axes.
            return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 400 40\"><text x=\"8\" y=\"24\">no font to draw " + task
                    + " with</text></svg>\n";
        }
    }

    static XYChart chart(ComparisonSummary s, String task) {
        List<Point> points = new ArrayList<>();
        for (ComparisonSummary.Row r : s.rows(task)) {
            r.cost().filter(c -> c.own() > 0).ifPresent(c -> points.add(new Point(r.name(), s.seam(r.name()), c.own(), 100 * r.mean())));
        }
        double head = s.baseline(task).map(h -> 100 * h.mean()).orElse(Double.NaN);
        XYChart chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).xAxisTitle("trained values beside the head").yAxisTitle("accuracy, %")
                .build();
        LossChart.style(chart.getStyler());
        chart.getStyler().setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Scatter);
        chart.getStyler().setMarkerSize(MARKER);
        chart.getStyler().setXAxisLogarithmic(true);
        chart.getStyler().setLegendPosition(LegendPosition.OutsideS);
        chart.getStyler().setLegendLayout(LegendLayout.Horizontal);
        // The library writes every dash of a line as a shape of its own.
        chart.getStyler().setPlotGridLinesStroke(new BasicStroke(1));
        Map<String, List<Point>> bySeam = new TreeMap<>();
        points.forEach(p -> bySeam.computeIfAbsent(p.seam(), k -> new ArrayList<>()).add(p));
        bySeam.forEach((seam, some) -> {
            XYSeries series = chart.addSeries(seam, some.stream().map(Point::x).toList(), some.stream().map(Point::y).toList());
            series.setMarker(SeriesMarkers.CIRCLE);
            series.setMarkerColor(COLORS.getOrDefault(seam, OTHER));
        });
        if (!points.isEmpty() && !Double.isNaN(head)) {
            double from = points.stream().mapToDouble(Point::x).min().orElseThrow();
            double to = points.stream().mapToDouble(Point::x).max().orElseThrow();
            XYSeries line = chart.addSeries("the head alone", List.of(from, to), List.of(head, head));
            line.setXYSeriesRenderStyle(XYSeriesRenderStyle.Line);
            line.setMarker(SeriesMarkers.NONE);
            line.setLineColor(OTHER);
            line.setLineStyle(new BasicStroke(1, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 10, new float[] {6, 4}, 0));
        }
        labels(chart, points);
        return chart;
    }

    /** A name above each point, or below it, where there is room. */
    private static void labels(XYChart chart, List<Point> points) {
        double low = points.stream().mapToDouble(Point::y).min().orElse(0);
        double high = points.stream().mapToDouble(Point::y).max().orElse(1);
        double line = LINE * Math.max(1e-9, high - low);
        List<Point> labels = new ArrayList<>();
        for (Point p : points) {
            Point label = DoubleStream.of(PLACES).mapToObj(d -> new Point(p.name(), p.seam(), p.x(), p.y() + d * line))
                    .filter(l -> labels.stream().noneMatch(o -> near(l, o, WIDE, line)))
                    .filter(l -> points.stream().noneMatch(o -> near(l, o, NARROW, 0.8 * line)))
                    .findFirst().orElse(new Point(p.name(), p.seam(), p.x(), p.y() + line));
            labels.add(label);
            chart.addAnnotation(new AnnotationText(label.name(), label.x(), label.y(), false));
        }
    }

    private static boolean near(Point a, Point b, double decades, double height) {
        return Math.abs(Math.log10(a.x() / b.x())) < decades && Math.abs(a.y() - b.y()) < height;
    }
}
